/** The value of a lookup: a row and its table. */
export interface Lookup {
  id: string;
  table: string;
}

/**
 * A value in memory. Decimals are JSON texts, which keep trailing zeros. 64-bit integers are bigints, GUIDs are
 * in lower case, binary values in base64, complex values and collections plain JSON.
 */
export type Value = null | string | number | boolean | bigint | Lookup | Json;
export type Json = { readonly json: unknown };

export interface Row {
  /** The primary id in lower case. */
  id: string;
  /** Sorts rows in SQL Server's order of the primary key. */
  order: string;
  /** `versionnumber`: unique in the organization, grows with each write. */
  version: bigint;
  /** One value per column of the table, in the same order. */
  values: Value[];
}

export function isLookup(value: Value): value is Lookup {
  return typeof value === 'object' && value !== null && 'id' in value;
}

/** A date as the service writes it: UTC, whole seconds. */
export function dateTimeText(date: Date): string {
  return `${date.toISOString().slice(0, 19)}Z`;
}

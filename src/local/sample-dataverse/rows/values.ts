/** How a row's values are held, and what they read as. */

/** A lookup's value: the row it points to and that row's table. */
export interface Lookup {
  id: string;
  table: string;
}

/**
 * One value. Decimals are their JSON text, so that trailing zeros stay; Int64 is a bigint; GUIDs are lower
 * case; binary is base64; complex and collection values are plain JSON.
 */
export type Value = null | string | number | boolean | bigint | Lookup | Json;
export type Json = { readonly json: unknown };

export interface Row {
  /** The primary id in lower case. */
  id: string;
  /** Where the row stands in the server's primary key order. */
  order: string;
  /** `versionnumber`, unique in the organisation and growing with each write. */
  version: bigint;
  /** One value per column of the table, in its order. */
  values: Value[];
}

export function isLookup(value: Value): value is Lookup {
  return typeof value === 'object' && value !== null && 'id' in value;
}

/** The service's own date text: UTC, whole seconds. */
export function dateTimeText(date: Date): string {
  return `${date.toISOString().slice(0, 19)}Z`;
}

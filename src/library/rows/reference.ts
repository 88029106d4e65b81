import { type RowKey, rowPath } from '../../dataverse/read/query.ts';
import { UsageError } from '../client/errors.ts';
import { keyFor } from './number-texts.ts';

export type { RowKey };

/** A row of a table, as the value of a lookup. */
export class Reference {
  readonly entitySet: string;
  readonly key: RowKey;

  constructor(entitySet: string, key: RowKey) {
    this.entitySet = entitySet;
    this.key = key;
  }

  /** `accounts(00000000-0000-0000-0000-000000000001)` */
  toString(): string {
    return rowPath(this.entitySet, this.key);
  }
}

/**
 * The value of a lookup: a row by its entity set and its id or alternate key.
 * @example
 * await contacts.create({ lastname: 'Lovelace', parentcustomerid_account: reference('accounts', id) });
 */
export function reference(
  table: string | { readonly entitySet: string; readonly decimals?: readonly string[] | undefined },
  key: RowKey,
): Reference {
  if (typeof table === 'string') return new Reference(table, key);
  return new Reference(table.entitySet, keyFor(table, key));
}

/** The value that clears a lookup: `{ parentcustomerid_account: noReference }`. */
export const noReference: unique symbol = Symbol('noReference');

/** Something that becomes a reference when a request is made, such as a row that the same batch creates. */
export abstract class LaterReference {
  /** @internal */
  abstract resolve(position: (of: LaterReference) => string | undefined): string;
}

type Resolve = (later: LaterReference) => string;

/**
 * The body of a write. A reference becomes `<name>@odata.bind`, in rows of navigation properties, too
 * (learn.microsoft.com: "Create a table row using the Web API", "Associate and disassociate table rows").
 */
export function toBody(
  values: Readonly<Record<string, unknown>>,
  resolve: Resolve = withoutBatch,
): Record<string, unknown> {
  const body: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(values)) {
    const target = targetOf(value, resolve);
    if (target !== undefined) body[`${name}@odata.bind`] = target;
    else if (Array.isArray(value) && value.length > 0 && value.every(isReference)) {
      body[`${name}@odata.bind`] = value.map((each) => targetOf(each, resolve));
    } else if (Array.isArray(value))
      body[name] = value.map((each) => (isPlainObject(each) ? toBody(each, resolve) : each));
    else body[name] = isPlainObject(value) ? toBody(value, resolve) : value;
  }
  return body;
}

function isReference(value: unknown): boolean {
  return value instanceof Reference || value instanceof LaterReference;
}

/** The address in a binding; undefined for a value that is not a reference. */
function targetOf(value: unknown, resolve: Resolve): string | null | undefined {
  if (value === noReference) return null;
  if (value instanceof Reference) return `/${value}`;
  return value instanceof LaterReference ? resolve(value) : undefined;
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && Object.getPrototypeOf(value) === Object.prototype;
}

function withoutBatch(): never {
  throw new UsageError('A row that a batch creates can be referred to in the same change set only', {
    hint: 'Put both operations into one changeSet(…), the create first.',
  });
}

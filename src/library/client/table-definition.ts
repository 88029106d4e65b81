import type { ExactNumber } from '../../dataverse/write/exact-number.ts';
import type { Reference } from '../rows/reference.ts';

/** A row as read: its selected columns by name, with `@odata.etag`. */
export type Row = Record<string, unknown>;

/** What a column of the given type accepts in a write. */
type Writable<Value> =
  | Value
  | (Extract<Value, number> extends never ? never : bigint | ExactNumber)
  | (Extract<Value, string> extends never ? never : Date);

/**
 * Values to write for rows of type `R`: its columns, and references or rows in navigation properties, whose names are not
 * known. Generated types pass a stricter one.
 */
export type WritableRow<R> = string extends keyof R
  ? Row
  : { readonly [Column in keyof R]?: Writable<R[Column]> | undefined } & {
      readonly [navigationProperty: string]: unknown;
    };

/** The names of a table that the Web API uses, with the types of its rows. */
export interface TableDefinition<R extends object = Row, W extends object = WritableRow<R>> {
  /** `account` */
  readonly logicalName: string;
  /** `accounts`: case-sensitive and irregular. */
  readonly entitySet: string;
  /** `accountid` */
  readonly primaryId: string;
  /**
   * Columns whose numbers are read as texts, digit by digit, and may be written as such, also in filters and keys: decimals, amounts
   * of money, integers of 64 bits. The same columns of expanded tables stay numbers. The option `decimals: 'real'` reads them as numbers nevertheless.
   */
  readonly decimals?: readonly string[] | undefined;
  /** Only for the compiler. */
  readonly ' types'?: { read: R; write: W };
}

/** A definition whatever its rows. */
export type AnyTableDefinition = Pick<
  TableDefinition,
  'logicalName' | 'entitySet' | 'primaryId' | 'decimals'
>;

/**
 * States the names of a table, so that no request asks for them, and the types of its rows.
 * @example
 * interface Account { accountid: string; name: string | null; statecode: 0 | 1 }
 * const account = defineTable<Account>({
 *   logicalName: 'account', entitySet: 'accounts', primaryId: 'accountid',
 * });
 * const accounts = dataverse.table(account);
 */
export function defineTable<R extends object = Row, W extends object = WritableRow<R>>(
  names: AnyTableDefinition,
): TableDefinition<R, W> {
  return { ...names };
}

/** Names of columns of a row; of any row if its type does not say. */
export type ColumnOf<R> = string extends keyof R ? string : Exclude<keyof R & string, `${string}@${string}`>;

/** A row with only some of its columns. The version of the row always comes with it. */
export type Selected<R, Column extends string> = string extends keyof R
  ? Row
  : Pick<R, Column & keyof R> & { readonly '@odata.etag'?: string };

export type { Reference };

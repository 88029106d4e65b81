import type { Cell } from '../read/worker-messages.ts';
import { type Dialect, sqlite } from './dialects.ts';
import type { Filter } from './filter.ts';
import { quoted } from './quoted.ts';

export interface View {
  dialect?: Dialect;
  table: string;
  filters: Filter[];
  sort?: { column: string; isDescending: boolean } | undefined;
  /** The name of the `rowid`, in whose order rows are stored, so that a page of a large table lies together. */
  rowid?: string | undefined;
  /** The columns of the key of a table without it, which make the order of its rows the same for each page. */
  key?: readonly string[];
  /** Where the page begins: behind this row. */
  after?: { position: Cell; isNull: boolean } | undefined;
  /** How many rows are before the page, for relations without `rowid`. */
  offset?: number;
}

export const pageRows = 100;

/** The name of the column of a page that has the positions of its rows, before those of the table. */
export const positionColumn = ' position';

/**
 * The statement of a page. Pages of a table with `rowid` follow each other by it, so that the last page of a large table
 * costs as little as the first. Other tables are small: their rows are counted off.
 * @param isShown with its values in the text, for people to copy
 */
export function statementOf(view: View, isShown = false): { sql: string; parameters: Cell[] } {
  const { dialect = sqlite, table, filters, sort, rowid, key = [], after, offset = 0 } = view;
  const parameters: Cell[] = [];
  const bind = (value: Cell): string => {
    if (isShown)
      return value === null ? 'NULL' : typeof value === 'string' ? quoted.text(value) : String(value);
    return dialect.parameter(parameters.push(value));
  };
  const direction: 'ASC' | 'DESC' = sort?.isDescending ? 'DESC' : 'ASC';
  const conditions = filters.map((filter) => dialect.condition(filter, bind));
  if (after !== undefined && rowid !== undefined) {
    const sign = sort?.isDescending ? '<' : '>';
    if (sort === undefined) conditions.push(`${rowid} ${sign} ${bind(after.position)}`);
    else conditions.push(behind(quoted.name(sort.column), rowid, sign, after.isNull));
  }
  /** The rows behind that one in an order, in which NULL comes before everything else. */
  function behind(column: string, at: string, sign: '<' | '>', isNull: boolean): string {
    const { position: from } = after!;
    if (isNull)
      return sign === '<'
        ? `(${column} IS NULL AND ${at} < ${bind(from)})`
        : `(${column} IS NOT NULL OR ${at} > ${bind(from)})`;
    // The value is read here: what the page has of it may be cut.
    const value = `SELECT ${column} FROM ${quoted.name(table)} WHERE ${at} = ${bind(from)}`;
    const next = `(${column}, ${at}) ${sign} ((${value}), ${bind(from)})`;
    return sign === '<' ? `(${next} OR ${column} IS NULL)` : next;
  }
  const where = conditions.length === 0 ? '' : `\nWHERE ${conditions.join('\n  AND ')}`;
  const nulls = dialect.nulls[direction];
  const by = [
    sort && `${quoted.name(sort.column)} ${direction}${nulls}`,
    // Without a word about NULL, which no key has: so an index gives the order.
    ...(rowid === undefined ? key.filter((name) => name !== sort?.column).map(quoted.name) : [rowid]).map(
      (name) => `${name} ${direction}`,
    ),
  ]
    .filter((term) => term !== undefined)
    .join(', ');
  const order = by === '' ? '' : `\nORDER BY ${by}`;
  const skip = rowid === undefined && offset > 0 ? ` OFFSET ${offset}` : '';
  const limit = isShown ? pageRows : pageRows + 1;
  const selected = isShown || rowid === undefined ? '*' : `${rowid} AS ${quoted.name(positionColumn)}, *`;
  return {
    sql: `SELECT ${selected} FROM ${quoted.name(table)}${where}${order}\nLIMIT ${limit}${skip}`,
    parameters,
  };
}

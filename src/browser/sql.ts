import type { Cell } from './worker-messages.ts';

/** Names and texts as SQL. */
export const quoted = {
  name: (name: string): string => `"${name.replaceAll('"', '""')}"`,
  text: (text: string): string => `'${text.replaceAll("'", "''")}'`,
};

export interface Filter {
  column: string;
  operator: '=' | '<>' | '<' | '>' | 'contains' | 'is empty' | 'is not empty';
  value: string;
  /** The column has no type: it may hold numbers beside texts, and SQLite converts neither to the other. */
  isUntyped?: boolean;
}

export const operators: Filter['operator'][] = ['=', '<>', '<', '>', 'contains', 'is empty', 'is not empty'];

/** How a filter stands in the address. */
export const filterText = ({ column, operator, value }: Omit<Filter, 'isUntyped'>): string =>
  `${column}|${operator}|${value}`;

/** The filter that a text of the address means; undefined if no column has its name. Names may hold `|`. */
export function filterOf(
  text: string,
  columns: readonly { name: string; type: string }[],
): Filter | undefined {
  for (const { name, type } of [...columns].sort((a, b) => b.name.length - a.name.length)) {
    for (const operator of operators) {
      const begin = filterText({ column: name, operator, value: '' });
      if (text.startsWith(begin))
        return { column: name, operator, value: text.slice(begin.length), isUntyped: isUntyped(type) };
    }
  }
  return undefined;
}

/** Whether a declared type gives no affinity (sqlite.org: Determination Of Column Affinity; STRICT Tables, for ANY). */
export const isUntyped = (type: string): boolean => type === '' || /blob|^any$/i.test(type);

export interface View {
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

/** What the `rowid` of a table is called, whose columns may have taken a name of it (sqlite.org: ROWIDs and the INTEGER PRIMARY KEY). */
export function rowidName(columns: readonly string[]): string | undefined {
  const taken = new Set(columns.map((name) => name.toLowerCase()));
  return ['rowid', '_rowid_', 'oid'].find((name) => !taken.has(name));
}

/**
 * The statement of a page. Pages of a table with `rowid` follow each other by it, so that the last page of a large table
 * costs as little as the first. Other tables are small: their rows are counted off.
 * @param isShown with its values in the text, for people to copy
 */
export function statementOf(view: View, isShown = false): { sql: string; parameters: Cell[] } {
  const { table, filters, sort, rowid, key = [], after, offset = 0 } = view;
  const parameters: Cell[] = [];
  const bind = (value: Cell): string => {
    if (isShown)
      return value === null ? 'NULL' : typeof value === 'string' ? quoted.text(value) : String(value);
    parameters.push(value);
    return '?';
  };
  const direction = sort?.isDescending ? 'DESC' : 'ASC';
  const conditions = filters.map((filter) => conditionOf(filter, bind));
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
  const named = new Set(sort === undefined ? key : [sort.column, ...key]);
  const columns =
    rowid === undefined ? [...named].map(quoted.name) : [sort && quoted.name(sort.column), rowid];
  const by = columns
    .filter((name) => name !== undefined)
    .map((name) => `${name} ${direction}`)
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

/** Whether a text is a number as SQL writes it. */
const number = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;

/** The condition of a filter. @param bind returns what stands for a value in the statement */
export function conditionOf(
  { column, operator, value, isUntyped = false }: Filter,
  bind: (value: Cell) => string,
): string {
  const name = quoted.name(column);
  if (operator === 'is empty') return `(${name} IS NULL OR ${name} = '')`;
  if (operator === 'is not empty') return `${name} <> ''`;
  if (operator === 'contains') {
    const pattern = `%${value.replaceAll(/[\\%_]/g, '\\$&')}%`;
    return `${name} LIKE ${bind(pattern)} ESCAPE '\\'`;
  }
  const asText = `${name} ${operator} ${bind(value)}`;
  const trimmed = value.trim();
  // A column with a type compares a text that looks like a number as its type says: its affinity is applied.
  if (!isUntyped || !number.test(trimmed)) return asText;
  // Numbers as numbers, texts as texts: neither in the place of the other, as in the order of the rows.
  return `iif(typeof(${name}) IN ('integer', 'real'), ${name} ${operator} ${trimmed}, ${asText})`;
}

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
}

export const operators: Filter['operator'][] = ['=', '<>', '<', '>', 'contains', 'is empty', 'is not empty'];

export interface View {
  table: string;
  filters: Filter[];
  sort?: { column: string; isDescending: boolean } | undefined;
  /** The key column; a view has none. */
  key?: string | undefined;
  /** Where the page begins: behind this row, by the value of the sorted column and the key. */
  after?: { value: Cell; key: Cell } | undefined;
  /** For relations without a key. */
  offset?: number;
}

export const pageRows = 100;

/**
 * The statement of a page. Pages follow each other by the key, so that the last page of a large table costs as little as
 * the first.
 * @param isShown with its values in the text, for people to copy
 */
export function statementOf(view: View, isShown = false): { sql: string; parameters: Cell[] } {
  const { table, filters, sort, key, after, offset = 0 } = view;
  const parameters: Cell[] = [];
  const bind = (value: Cell): string => {
    if (isShown)
      return value === null ? 'NULL' : typeof value === 'string' ? quoted.text(value) : String(value);
    parameters.push(value);
    return '?';
  };
  const conditions = filters.map((filter) => conditionOf(filter, bind));
  const order = sort?.column === key ? undefined : sort;
  const direction = sort?.isDescending ? 'DESC' : 'ASC';
  if (after !== undefined && key !== undefined) {
    const sign = sort?.isDescending ? '<' : '>';
    const keyName = quoted.name(key);
    if (order === undefined) conditions.push(`${keyName} ${sign} ${bind(after.key)}`);
    else {
      const name = quoted.name(order.column);
      // NULL comes before everything else in ascending order.
      if (after.value === null)
        conditions.push(
          order.isDescending
            ? `(${name} IS NULL AND ${keyName} ${sign} ${bind(after.key)})`
            : `(${name} IS NOT NULL OR ${keyName} ${sign} ${bind(after.key)})`,
        );
      else {
        const behind = `(${name}, ${keyName}) ${sign} (${bind(after.value)}, ${bind(after.key)})`;
        conditions.push(order.isDescending ? `(${behind} OR ${name} IS NULL)` : behind);
      }
    }
  }
  const where = conditions.length === 0 ? '' : `\nWHERE ${conditions.join('\n  AND ')}`;
  const columns = [order?.column, key].flatMap((name) =>
    name === undefined ? [] : [`${quoted.name(name)} ${direction}`],
  );
  const by = columns.length === 0 ? '' : `\nORDER BY ${columns.join(', ')}`;
  const skip = key === undefined && offset > 0 ? ` OFFSET ${offset}` : '';
  const limit = isShown ? pageRows : pageRows + 1;
  return { sql: `SELECT * FROM ${quoted.name(table)}${where}${by}\nLIMIT ${limit}${skip}`, parameters };
}

function conditionOf({ column, operator, value }: Filter, bind: (value: Cell) => string): string {
  const name = quoted.name(column);
  if (operator === 'is empty') return `(${name} IS NULL OR ${name} = '')`;
  if (operator === 'is not empty') return `${name} <> ''`;
  if (operator === 'contains') {
    const pattern = `%${value.replaceAll(/[\\%_]/g, '\\$&')}%`;
    return `${name} LIKE ${bind(pattern)} ESCAPE '\\'`;
  }
  // A column compares a text that looks like a number as its type says: its affinity is applied.
  return `${name} ${operator} ${bind(value)}`;
}

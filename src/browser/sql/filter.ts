export interface Filter {
  column: string;
  operator: '=' | '<>' | '<' | '>' | 'contains' | 'is empty' | 'is not empty';
  value: string;
  /** The column has no type: it may hold numbers beside texts, and SQLite converts neither to the other. */
  isUntyped?: boolean;
  /** The type of the column, as the database calls it. */
  type?: string;
}

export const operators: Filter['operator'][] = ['=', '<>', '<', '>', 'contains', 'is empty', 'is not empty'];

/** How a filter stands in the address. */
export const filterText = ({ column, operator, value }: Omit<Filter, 'isUntyped' | 'type'>): string =>
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
        return { column: name, operator, value: text.slice(begin.length), isUntyped: isUntyped(type), type };
    }
  }
  return undefined;
}

/** Whether a declared type gives no affinity (sqlite.org: Determination Of Column Affinity; STRICT Tables, for ANY). */
export const isUntyped = (type: string): boolean => type === '' || /blob|^any$/i.test(type);

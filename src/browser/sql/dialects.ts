import type { Cell } from '../read/worker-messages.ts';
import type { Filter } from './filter.ts';
import { quoted } from './quoted.ts';

/** A statement and the values in it. */
export interface Statement {
  sql: string;
  parameters: Cell[];
}

/** What two databases say in different words. */
export interface Dialect {
  /** What stands for the value with this number, from 1. */
  parameter(number: number): string;
  /** The condition of a filter. @param bind returns what stands for a value in the statement */
  condition(filter: Filter, bind: (value: Cell) => string): string;
  /** What makes NULL come before everything else, as people see it from the top. */
  nulls: { ASC: string; DESC: string };
  /** Tables and views: name, kind, and 0 where rows can be read in the order of a position. */
  relations: string;
  /** The columns of a table: name, type, and place in the key, from 1. */
  columns(table: string): Statement;
  /** The labels of a table: column, value, label; those of the base language last. @param hasMeta the mirror says which one it is */
  labels(table: string, hasMeta: boolean): Statement;
  /** The position of rows: what is selected and compared; undefined if there is none. */
  position(columns: readonly string[], key: readonly string[]): string | undefined;
}

/** Whether a text is a number as SQL writes it. */
const number = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;

const patternOf = (value: string): string => `%${value.replaceAll(/[\\%_]/g, '\\$&')}%`;

export const sqlite: Dialect = {
  parameter: () => '?',
  condition({ column, operator, value, isUntyped = false }, bind) {
    const name = quoted.name(column);
    if (operator === 'is empty') return `(${name} IS NULL OR ${name} = '')`;
    if (operator === 'is not empty') return `${name} <> ''`;
    if (operator === 'contains') return `${name} LIKE ${bind(patternOf(value))} ESCAPE '\\'`;
    const asText = `${name} ${operator} ${bind(value)}`;
    const trimmed = value.trim();
    // A column with a type compares a text that looks like a number as its type says: its affinity is applied.
    if (!isUntyped || !number.test(trimmed)) return asText;
    // Numbers as numbers, texts as texts: neither in the place of the other, as in the order of the rows.
    return `iif(typeof(${name}) IN ('integer', 'real'), ${name} ${operator} ${trimmed}, ${asText})`;
  },
  nulls: { ASC: '', DESC: '' },
  relations:
    "SELECT name, type, sql LIKE '%WITHOUT ROWID%' FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY substr(name, 1, 1) = '_', name COLLATE NOCASE",
  columns: (table) => ({
    sql: `SELECT name, type, pk FROM pragma_table_info(${quoted.text(table)})`,
    parameters: [],
  }),
  labels(table, hasMeta) {
    const base = hasMeta
      ? "(SELECT json_extract(value, '$.language') FROM _sync_meta WHERE name = 'choices')"
      : '1033';
    const sql = `SELECT column_name, value, label FROM _choices WHERE table_name = ? ORDER BY language IS ${base}`;
    return { sql, parameters: [table] };
  },
  position: (columns) => rowidName(columns),
};

/** What the `rowid` of a table is called, whose columns may have taken a name of it (sqlite.org: ROWIDs and the INTEGER PRIMARY KEY). */
export function rowidName(columns: readonly string[]): string | undefined {
  const taken = new Set(columns.map((name) => name.toLowerCase()));
  return ['rowid', '_rowid_', 'oid'].find((name) => !taken.has(name));
}

/** The types whose values are compared as what they are. Values of others are compared as texts. */
const comparable = /^(?:text|uuid|boolean|smallint|integer|bigint|numeric|double precision|date|timestamp)/;

export const postgres: Dialect = {
  parameter: (at) => `$${at}`,
  condition({ column, operator, value, type = 'text' }, bind) {
    const name = quoted.name(column);
    const asText = `${name}::text`;
    if (operator === 'is empty') return `(${name} IS NULL OR ${asText} = '')`;
    if (operator === 'is not empty') return `${asText} <> ''`;
    if (operator === 'contains') return `${asText} ILIKE ${bind(patternOf(value))}`;
    return comparable.test(type)
      ? `${name} ${operator} ${bind(value)}::${type}`
      : `${asText} ${operator} ${bind(value)}`;
  },
  nulls: { ASC: ' NULLS FIRST', DESC: ' NULLS LAST' },
  relations: `SELECT c.relname, CASE WHEN c.relkind IN ('v', 'm') THEN 'view' ELSE 'table' END,
  CASE WHEN EXISTS (SELECT 1 FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND i.indnkeyatts = 1) THEN 0 ELSE 1 END
FROM pg_catalog.pg_class c
WHERE c.relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = current_schema()) AND c.relkind IN ('r', 'p', 'f', 'v', 'm') AND has_table_privilege(c.oid, 'SELECT')
ORDER BY left(c.relname::text, 1) = '_', lower(c.relname::text)`,
  columns: (table) => ({
    sql: `SELECT a.attname, format_type(a.atttypid, NULL), coalesce(array_position(i.indkey::smallint[], a.attnum) + 1, 0)
FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`,
    parameters: [quoted.name(table)],
  }),
  labels(table, hasMeta) {
    const base = hasMeta
      ? "(SELECT (value::json ->> 'language')::integer FROM _sync_meta WHERE name = 'choices')"
      : '1033';
    // A choice of two values is a boolean here.
    const values = `SELECT column_name, value::text AS value, label, language FROM _choices WHERE table_name = $1
UNION ALL SELECT column_name, (value = 1)::text, label, language FROM _choices WHERE table_name = $1 AND value IN (0, 1)`;
    const sql = `SELECT column_name, value, label FROM (${values}) AS c ORDER BY language IS NOT DISTINCT FROM ${base}`;
    return { sql, parameters: [table] };
  },
  position: (_, key) => (key.length === 1 ? quoted.name(key[0]!) : undefined),
};

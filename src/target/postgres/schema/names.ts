import { createHash } from 'node:crypto';
import type { Table } from '../../../schema/table.ts';
import { renameColumns } from '../../common/rename-columns.ts';
import type { Engine } from '../../common/storable-tables.ts';

/** In bytes. PostgreSQL would cut a longer name (postgresql.org: Identifiers and Key Words). */
const maxNameBytes = 63;
const hashLength = 10;

/**
 * The name itself, or if it is too long its beginning with a digest of the whole: another name for each, and always the
 * same.
 */
export function storedName(name: string): string {
  if (Buffer.byteLength(name) <= maxNameBytes) return name;
  const digest = createHash('sha256').update(name).digest('hex').slice(0, hashLength);
  let start = '';
  for (const character of name) {
    if (Buffer.byteLength(start + character) > maxNameBytes - hashLength - 1) break;
    start += character;
  }
  return `${start}_${digest}`;
}

/** Columns that every table has (postgresql.org: System Columns). */
const systemColumns = new Set(['tableoid', 'xmin', 'cmin', 'xmax', 'cmax', 'ctid']);

/** The table with names of columns that PostgreSQL can store. */
export function withStoredColumns(table: Table): Table {
  const names = new Map<string, string>();
  const taken = new Set(table.columns.map(({ name }) => name.toLowerCase()));
  for (const { name } of table.columns) {
    const wanted = systemColumns.has(name.toLowerCase()) ? `${name}_2` : name;
    let stored = storedName(wanted);
    for (let n = 2; stored !== name && taken.has(stored.toLowerCase()); n++)
      stored = storedName(`${wanted}_${n}`);
    if (stored === name) continue;
    names.set(name, stored);
    taken.add(stored.toLowerCase());
  }
  if (names.size === 0) return table;
  return renameColumns(table, names);
}

/** postgresql.org: PostgreSQL Limits. */
export const postgresEngine: Engine = {
  name: 'PostgreSQL',
  maxColumns: 1600,
  reserved: /^(?:_sync_|_choices$|_files$)/,
  nameOf: storedName,
  withColumns: withStoredColumns,
  isExact: true,
  isOne: true,
};

/** The name of the index of a column, as in SQLite: names in Dataverse have no dots. */
export function indexName(table: Pick<Table, 'name'>, column: string): string {
  return storedName(`${table.name}.${column}`);
}

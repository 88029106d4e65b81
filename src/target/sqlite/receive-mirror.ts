import type { TableConfig } from '../../config/entities.ts';
import { ConfigurationError } from '../../errors.ts';
import { ofType } from '../../schema/column-types.ts';
import { type Column, entitySetOf, type Table } from '../../schema/table.ts';
import { historyName } from '../common/mirror-table.ts';
import { renameColumns } from '../common/rename-columns.ts';
import { type MirrorContents, type MirrorValue, takenLists } from '../mirror-contents.ts';
import type { ReceivedMirror, ReceivedTableReport } from '../mirror-target.ts';
import type { State, TableState } from '../state.ts';
import type { SqliteTransaction } from './sqlite-transaction.ts';

export function mirrorExists(name: string): ConfigurationError {
  return new ConfigurationError(`There is a database file ${name} already.`, {
    operation: 'move the mirror',
    hint: 'If an earlier move wrote it, and this one reports that it is there, it is complete: look at it before you delete it. Otherwise rename the blob, or choose another container with SYNC_DATABASE_CONTAINER.',
  });
}

/** A name in SQLite: that of Dataverse, if another target has cut it. One that stands for a reserved name is longer. */
const uncut = (name: string, whole: string): string =>
  Buffer.byteLength(whole) > Buffer.byteLength(name) ? whole : name;

function nameOf({ name, property = name }: Column): string {
  const lookup = /^(_.+)_value@/.exec(property)?.[1];
  if (lookup !== undefined) return uncut(name, `${lookup}_type`);
  return property.includes('@') ? name : uncut(name, property);
}

/** A table as SQLite holds it, and the names of its columns where it comes from. */
function receivedTable(from: Table, config: TableConfig | undefined): { table: Table; sources: string[] } {
  const stale = from.staleColumns ?? [];
  const all = [...from.columns, ...stale];
  const names = new Map(all.map((column) => [column.name, nameOf(column)]));
  const decimals = config?.decimals === 'text' ? 'decimal' : 'real';
  const { declaredKeys: _, staleColumns: __, ...own } = from;
  const renamed = renameColumns({ ...own, columns: all }, names);
  const columns = renamed.columns.map((column) => ({
    ...column,
    ...(column.reading === 'decimal' && ofType(decimals)),
  }));
  const table: Table = {
    ...renamed,
    name: uncut(from.name, entitySetOf(from)),
    ...(config?.database !== undefined && { database: config.database }),
    columns: columns.slice(0, from.columns.length),
    ...(stale.length > 0 && { staleColumns: columns.slice(from.columns.length) }),
  };
  return { table, sources: all.map(({ name }) => name) };
}

/** The tables of another mirror as SQLite holds them, by logical name. */
export function receivedTables(
  state: State,
  configs: ReadonlyMap<string, TableConfig>,
): Map<string, { from: Table; table: Table; sources: string[] }> {
  return new Map(
    Object.entries(state.entities).map(([name, { table }]) => [
      name,
      { from: table, ...receivedTable(table, configs.get(name)) },
    ]),
  );
}

/** Makes the contents of another mirror those of new database files. The caller commits. */
export async function receiveMirror(
  mirror: SqliteTransaction,
  contents: MirrorContents,
  tables: ReturnType<typeof receivedTables>,
): Promise<ReceivedMirror['tables']> {
  const reports: ReceivedTableReport[] = [];
  for (const [logicalName, { from, table, sources }] of tables) {
    const known = contents.state.entities[logicalName]!;
    const { staleColumns, ...own } = table;
    const all = [...table.columns, ...(staleColumns ?? [])];
    const historyFrom = await contents.columns(contents.historyName(from));
    const hasHistory = historyFrom.length > 0;
    const merge = await mirror.mergeTable({ ...own, columns: all }, [], {
      ...{ history: hasHistory, startHistory: false, massDeleteLimit: 1, isComplete: false },
      comparedKeys: undefined,
    });
    const rows = await insert(mirror, table, table.name, columnNames(all), contents.rows(from.name, sources));
    if (hasHistory) {
      const names = new Map(sources.map((source, index) => [source, all[index]!.name]));
      const taken = historyFrom.map(({ name }) => name).filter((name) => names.has(name) || isPeriod(name));
      await insert(
        mirror,
        table,
        historyName(table),
        taken.map((name) => names.get(name) ?? name),
        contents.rows(contents.historyName(from), taken),
      );
    }
    const stored: Table = { ...merge.table, columns: table.columns };
    if (staleColumns !== undefined) stored.staleColumns = staleColumns;
    mirror.state.entities[logicalName] = { ...known, table: stored } satisfies TableState;
    reports.push({ table: logicalName, rows, notes: [] });
  }
  const names = new Map([...tables.values()].map(({ from, table }) => [from.name, table] as const));
  for (const list of takenLists) await takeList(mirror, contents, list, names);
  return reports;
}

const isPeriod = (name: string): boolean => name === 'valid_from' || name === 'valid_to';
const columnNames = (columns: readonly Column[]): string[] => columns.map(({ name }) => name);

/** Into the file that has the table. */
async function insert(
  mirror: SqliteTransaction,
  table: Pick<Table, 'database'>,
  into: string,
  columns: readonly string[],
  batches: AsyncIterable<readonly (readonly MirrorValue[])[]>,
): Promise<number> {
  let rows = 0;
  for await (const batch of batches) {
    await mirror.insertRows(table, into, columns, batch);
    rows += batch.length;
  }
  return rows;
}

/** The rows of a list go to the file of their table; those of the log, which have none, to the default one. */
async function takeList(
  mirror: SqliteTransaction,
  contents: MirrorContents,
  list: string,
  tables: ReadonlyMap<string, Table>,
): Promise<void> {
  const present = (await contents.columns(list)).map(({ name }) => name);
  const columns = present.filter((name) => name !== 'place' && name !== 'is_narrow');
  if (columns.length === 0) return;
  const at = columns.indexOf('table_name');
  for await (const batch of contents.rows(list, columns)) {
    const byFile = Map.groupBy(batch, (row) => tables.get(String(row[at]))?.database);
    for (const [database, rows] of byFile) {
      const renamed = rows.map((row) =>
        at < 0 ? row : row.with(at, tables.get(String(row[at]))?.name ?? row[at]!),
      );
      await mirror.insertRows({ ...(database !== undefined && { database }) }, list, columns, renamed);
    }
  }
}

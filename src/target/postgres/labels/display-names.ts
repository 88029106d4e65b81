import { quoteIdentifier as quote, quoteText } from '../../../schema/sql.ts';
import type { Table } from '../../../schema/table.ts';
import type { TableNames } from '../../mirror-target.ts';
import type { Session } from '../connection/session.ts';
import { storableJson, storableText } from '../connection/storable-text.ts';

/** A row of `_sync_columns`, or with an empty name of the column a row of `_sync_tables`. */
interface NamesRow {
  table_name: string;
  column_name: string;
  display_name: string | null;
  description: string | null;
}

/** Comments that go to the server at once. */
const batchComments = 200;

/**
 * Updates the display names and descriptions of tables and columns: in the lists of the sync, and as the comments that
 * tools show. Writes only what differs. Tables that are not among the names keep theirs.
 */
export async function writeDisplayNames(
  session: Session,
  tables: readonly Table[],
  names: readonly TableNames[],
): Promise<void> {
  const byName = new Map(tables.map((table) => [table.logicalName, table]));
  const wanted = new Map<string, NamesRow>();
  for (const one of names) {
    const table = byName.get(one.table);
    if (table === undefined) continue;
    for (const row of rowsOf(table, one)) if (!wanted.has(idOf(row))) wanted.set(idOf(row), row);
  }
  const named = [...new Set([...wanted.values()].map((row) => row.table_name))];
  const stored = await readRows(session, named);
  const same = new Map(stored.map((row) => [idOf(row), textsOf(row)]));
  const changed = [...wanted.values()].filter((row) => same.get(idOf(row)) !== textsOf(row));
  await writeRows(session, changed);
  await writeComments(session, changed);
  const gone = stored.filter((row) => !wanted.has(idOf(row)));
  await session.run(
    `DELETE FROM ${session.name('_sync_columns')} c USING json_populate_recordset(NULL::${session.name('_sync_columns')}, $1::json) g
     WHERE c.table_name = g.table_name AND c.column_name = g.column_name`,
    [storableJson(gone)],
  );
  const present = [tables.map(({ name }) => name)];
  for (const list of ['_sync_tables', '_sync_columns']) {
    await session.run(`DELETE FROM ${session.name(list)} WHERE NOT (table_name = ANY ($1::text[]))`, present);
  }
}

/** Comments on the table and its columns what the lists of the sync have. */
export async function restoreComments(session: Session, table: string): Promise<void> {
  await writeComments(session, await readRows(session, [table]));
}

const idOf = (row: NamesRow): string => JSON.stringify([row.table_name, row.column_name]);
const textsOf = (row: NamesRow): string => JSON.stringify([row.display_name, row.description]);

function rowsOf(table: Table, names: TableNames): NamesRow[] {
  const columns = new Map(table.columns.map((column) => [column.property, column.name]));
  const row = (column: string, { displayName, description }: Omit<TableNames, 'table' | 'columns'>) => ({
    table_name: table.name,
    column_name: column,
    display_name: displayName === undefined ? null : storableText(displayName),
    description: description === undefined ? null : storableText(description),
  });
  const ofColumns = names.columns.flatMap(({ column, ...texts }) => {
    const own = columns.get(column);
    return own === undefined ? [] : [row(own, texts)];
  });
  return [row('', names), ...ofColumns];
}

function readRows(session: Session, tables: readonly string[]): Promise<NamesRow[]> {
  return session.all<NamesRow>(
    `SELECT table_name, '' AS column_name, display_name, description FROM ${session.name('_sync_tables')}
     WHERE table_name = ANY ($1::text[])
     UNION ALL SELECT table_name, column_name, display_name, description FROM ${session.name('_sync_columns')}
     WHERE table_name = ANY ($1::text[])`,
    [tables],
  );
}

async function writeRows(session: Session, rows: readonly NamesRow[]): Promise<void> {
  const [ofTables, ofColumns] = [true, false].map((is) =>
    rows.filter((row) => (row.column_name === '') === is),
  );
  const lists = [
    { name: '_sync_tables', key: 'table_name', rows: ofTables! },
    { name: '_sync_columns', key: 'table_name, column_name', rows: ofColumns! },
  ];
  for (const { name, key, rows: own } of lists) {
    if (own.length === 0) continue;
    const list = session.name(name);
    await session.run(
      `INSERT INTO ${list} SELECT * FROM json_populate_recordset(NULL::${list}, $1::json) ON CONFLICT (${key})
       DO UPDATE SET display_name = excluded.display_name, description = excluded.description`,
      [storableJson(own)],
    );
  }
}

async function writeComments(session: Session, rows: readonly NamesRow[]): Promise<void> {
  const statements = rows.map(({ table_name, column_name, display_name, description }) => {
    const table = session.name(table_name);
    const what = column_name === '' ? `TABLE ${table}` : `COLUMN ${table}.${quote(column_name)}`;
    const comment = [display_name, description].filter((text) => text !== null && text !== '').join('. ');
    return `COMMENT ON ${what} IS ${comment === '' ? 'NULL' : literal(comment)}`;
  });
  for (let start = 0; start < statements.length; start += batchComments) {
    await session.runAll(statements.slice(start, start + batchComments));
  }
}

/** A statement without parameters has literals. A backslash is one whatever the server's settings are. */
function literal(text: string): string {
  return text.includes('\\') ? ` E${quoteText(text.replaceAll('\\', '\\\\'))}` : quoteText(text);
}

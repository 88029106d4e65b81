import { randomUUID } from 'node:crypto';
import { ConfigurationError, describeError, SkipTableError } from '../../../errors.ts';
import { quoteIdentifier as quote } from '../../../schema/sql.ts';
import type { Table } from '../../../schema/table.ts';
import { historyName } from '../../common/mirror-table.ts';
import { type MirrorContents, type MirrorValue, takenLists } from '../../mirror-contents.ts';
import type { ReceivedMirror, ReceivedTableReport } from '../../mirror-target.ts';
import type { State } from '../../state.ts';
import { createBookkeeping, hasBookkeeping } from '../bookkeeping/bookkeeping-tables.ts';
import { writeState } from '../bookkeeping/stored-state.ts';
import { writeForeignKeys, writeNames } from '../bookkeeping/table-lists.ts';
import type { Session } from '../connection/session.ts';
import { writeLabels } from '../labels/choices.ts';
import { databaseBytes } from '../rows/database-size.ts';
import { Repairs } from '../rows/repairs.ts';
import { type PostgresType, postgresType } from '../schema/column-types.ts';
import { createIndexes } from '../schema/migrate-table.ts';
import { storedName } from '../schema/names.ts';
import { storedColumns } from '../schema/stored-columns.ts';
import { type CopiedColumn, copyBatches, placesThatDiffer } from './copy-batches.ts';
import { type ReceivedTable, receivedTable } from './received-table.ts';

/**
 * Makes the contents of another mirror those of this one, in the caller's transaction: rows, histories, tombstones, log,
 * labels and cursors. The next run reads what changed in Dataverse since.
 * @throws ConfigurationError if there is a mirror already
 */
export async function receiveMirror(session: Session, contents: MirrorContents): Promise<ReceivedMirror> {
  if (await hasBookkeeping(session)) {
    throw new ConfigurationError(`The schema ${session.schema} has a mirror already.`, {
      operation: 'move the mirror',
      object: session.schema,
      hint: `Choose another schema with POSTGRES_SCHEMA, or drop this one: DROP SCHEMA ${session.schemaName} CASCADE.`,
    });
  }
  await createBookkeeping(session);
  const reports: ReceivedTableReport[] = [];
  /** Their names here, by those where they come from. */
  const names = new Map<string, string>();
  const entities: State['entities'] = {};
  for (const [logicalName, known] of Object.entries(contents.state.entities)) {
    const received = receivedTable(known.table);
    const { table } = received;
    const report = await session.about(logicalName, () =>
      receiveTable(session, contents, known.table, received),
    );
    reports.push(report);
    names.set(known.table.name, table.name);
    // A table that cannot be here is read again by the next run, which says why.
    if (report.error === undefined) entities[logicalName] = { ...known, table };
  }
  const tables = Object.values(entities).map(({ table }) => table);
  for (const table of tables) {
    await createIndexes(session, table, tables);
    await session.run(`ANALYZE ${session.name(table.name)}`);
  }
  for (const list of takenLists) await receiveList(session, contents, list, names);
  await writeForeignKeys(session, tables);
  await writeNames(session, tables);
  const { labels } = contents;
  if (labels !== undefined) await writeLabels(session, tables, contents.state.choices, async () => labels);
  const bytes = await databaseBytes(session);
  const { databases: _, leftovers: __, files: ___, ...state } = contents.state;
  await writeState(session, {
    ...state,
    // The catalog has the tables as another target holds them. It is made anew, without a row being read.
    metadataVersion: undefined,
    catalog: undefined,
    choices: labels === undefined ? undefined : state.choices,
    databaseBytes: bytes,
    databaseEtag: randomUUID(),
    entities,
  } as State);
  return { tables: reports, bytes };
}

async function receiveTable(
  session: Session,
  contents: MirrorContents,
  from: Table,
  received: ReceivedTable,
): Promise<ReceivedTableReport> {
  const { table, sources, rounded } = received;
  const repairs = new Repairs();
  let rows = 0;
  const refusal = await session.refusal(async () => {
    const columns = copiedColumns(table);
    const definitions = columns.map(({ name, type }) => `${quote(name)} ${type}`);
    const name = session.name(table.name);
    await session.run(`CREATE TABLE ${name} (${definitions.join(', ')})`);
    const batches = contents.rows(
      from.name,
      columns.map((column) => sources.get(column.name)!),
      from.database,
    );
    rows = await copyBatches(session, name, columns, batches, repairs);
    // At once, instead of with each row.
    await session.run(`ALTER TABLE ${name} ADD PRIMARY KEY (${quote(table.primaryKey)})`);
    await receiveHistory(session, contents, from, received, repairs);
  });
  if (refusal !== undefined && !(refusal instanceof SkipTableError)) throw refusal;
  const notes = repairs.notes();
  if (rounded.length > 0) {
    notes.push(
      `SQLite had ${rounded.join(', ')} as numbers, exact to 15 digits: rows with more digits get them when they are read again`,
    );
  }
  return {
    table: table.logicalName,
    rows,
    notes,
    error: refusal === undefined ? undefined : describeError(refusal).message,
  };
}

function copiedColumns(table: Table): CopiedColumn[] {
  return [...table.columns, ...(table.staleColumns ?? [])].map((column) => ({
    name: column.name,
    type: postgresType(column),
    isKey: column.name === table.primaryKey,
  }));
}

async function receiveHistory(
  session: Session,
  contents: MirrorContents,
  from: Table,
  { table, sources }: ReceivedTable,
  repairs: Repairs,
): Promise<void> {
  const history = contents.historyName(from);
  const present = await contents.columns(history, from.database);
  if (present.length === 0) return;
  const own = new Map(copiedColumns(table).map((column) => [sources.get(column.name)!, column]));
  const columns = present.map(({ name, isMixed }): CopiedColumn => {
    if (name === 'valid_from') return { name, type: 'timestamp with time zone', isKey: true };
    if (name === 'valid_to') return { name, type: 'timestamp with time zone' };
    const column = own.get(name);
    const type = isMixed || column === undefined ? 'text' : column.type;
    return { name: column?.name ?? storedName(name), type, isKey: name === from.primaryKey };
  });
  // Older versions may be of another type, which SQLite stores like the one of now.
  const read = () =>
    contents.rows(
      history,
      present.map((column) => column.name),
      from.database,
    );
  for (const place of await placesThatDiffer(columns, read()))
    columns[place] = { ...columns[place]!, type: 'text' };
  const name = session.name(storedName(historyName(table)));
  const required = (column: CopiedColumn) => (column.name === 'valid_from' ? ' NOT NULL' : '');
  await session.run(
    `CREATE TABLE ${name} (${columns.map((column) => `${quote(column.name)} ${column.type}${required(column)}`).join(', ')})`,
  );
  await copyBatches(session, name, columns, read(), repairs);
  await session.run(`ALTER TABLE ${name} ADD PRIMARY KEY (${quote(table.primaryKey)}, valid_from)`);
}

/** The rows of one of the sync's own lists, those of all files of the other mirror. */
async function receiveList(
  session: Session,
  contents: MirrorContents,
  list: string,
  names: ReadonlyMap<string, string>,
): Promise<void> {
  const types = await storedColumns(session, list);
  for (const database of contents.databases) {
    const present = await contents.columns(list, database);
    const columns = present
      .filter(({ name }) => types.has(name))
      .map(({ name }) => ({ name, type: types.get(name) as PostgresType }));
    if (columns.length === 0) continue;
    const at = columns.findIndex(({ name }) => name === 'table_name');
    const batches = renamed(
      contents.rows(
        list,
        columns.map(({ name }) => name),
        database,
      ),
      at,
      names,
    );
    const into = session.name(list);
    await session.run(`CREATE TEMP TABLE received_rows (LIKE ${into} INCLUDING DEFAULTS) ON COMMIT DROP`);
    await session.run('ALTER TABLE received_rows ADD COLUMN received_place bigserial');
    for (const name of types.keys()) {
      if (!columns.some((column) => column.name === name))
        await session.run(`ALTER TABLE received_rows DROP COLUMN ${quote(name)}`);
    }
    await copyBatches(session, 'pg_temp.received_rows', columns, batches, new Repairs());
    const quoted = columns.map(({ name }) => quote(name));
    // A file tells runs of some tables by their row ids, which are not taken over.
    const own = types.has('is_narrow')
      ? { names: ', is_narrow', values: ', false' }
      : { names: '', values: '' };
    await session.run(
      `INSERT INTO ${into} (${quoted.join(', ')}${own.names}) SELECT ${quoted.join(', ')}${own.values} FROM pg_temp.received_rows
       ORDER BY received_place ON CONFLICT DO NOTHING`,
    );
    await session.run('DROP TABLE pg_temp.received_rows');
  }
}

async function* renamed(
  batches: AsyncIterable<readonly (readonly MirrorValue[])[]>,
  at: number,
  names: ReadonlyMap<string, string>,
): AsyncGenerator<(readonly MirrorValue[])[]> {
  for await (const batch of batches) {
    yield batch.map((row) => (at < 0 ? row : row.with(at, names.get(String(row[at])) ?? row[at]!)));
  }
}

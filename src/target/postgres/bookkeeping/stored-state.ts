import { randomUUID } from 'node:crypto';
import { ConflictError } from '../../../errors.ts';
import type { Table } from '../../../schema/table.ts';
import { emptyState, type LoadedState, type State, type TableState } from '../../state.ts';
import type { Session } from '../connection/session.ts';
import { hasBookkeeping, metaNames, readMeta, writeMeta } from './bookkeeping-tables.ts';

/** Which state of the mirror it is. Another text with each change: after a restore of the database, too. */
interface Version {
  /** Of the state. */
  state: string;
}

/** The state but for the tables. */
type StoredState = Omit<State, 'entities'>;

async function readVersion(session: Session, lock = ''): Promise<string | undefined> {
  const sql = `SELECT value FROM ${session.name('_sync_meta')} WHERE name = $1${lock}`;
  const text = (await session.get(sql, [metaNames.version]))?.['value'];
  return text == null ? undefined : (JSON.parse(text) as Version).state;
}

/**
 * Reads the state.
 * @param known one that was read before, which is returned again if it is still the one
 */
export async function readState(session: Session, known?: LoadedState): Promise<LoadedState> {
  if (!(await hasBookkeeping(session))) return { state: emptyState(), etag: undefined };
  const etag = await readVersion(session);
  if (etag === undefined) return { state: emptyState(), etag };
  const state = etag === known?.etag ? structuredClone(known.state) : await readAll(session);
  // The owner may drop a table that is no longer configured.
  for (const name of await droppedTables(session)) delete state.entities[name];
  return { state, etag };
}

async function readAll(session: Session): Promise<State> {
  const rest = JSON.parse((await readMeta(session, metaNames.state)) ?? '{}') as StoredState;
  const rows = await session.all<{ entity: string; state: string; model: string }>(
    `SELECT entity, state, model FROM ${session.name('_sync_state')} ORDER BY entity COLLATE "C"`,
  );
  const entities: State['entities'] = {};
  for (const { entity, state, model } of rows) {
    entities[entity] = {
      ...(JSON.parse(state) as Omit<TableState, 'table'>),
      table: JSON.parse(model) as Table,
    };
  }
  return { ...emptyState(), ...rest, entities };
}

/** Logical names of tables that are in the state and not in the database. */
async function droppedTables(session: Session): Promise<string[]> {
  const rows = await session.all<{ entity: string }>(
    `SELECT s.entity FROM ${session.name('_sync_state')} s WHERE NOT EXISTS (
       SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
       WHERE n.nspname = $1 AND c.relname = s.table_name AND c.relkind IN ('r', 'p', 'f'))`,
    [session.schema],
  );
  return rows.map(({ entity }) => entity);
}

/**
 * Makes sure that nothing changed since the state was loaded. No other transaction can change it until this one ends.
 * @throws ConflictError
 */
export async function lockState(session: Session, etag: string | undefined): Promise<void> {
  if ((await readVersion(session, ' FOR UPDATE')) === etag) return;
  throw new ConflictError('Another writer changed the mirror first.', {
    operation: 'merge into',
    object: session.schema,
    hint: 'Load the state again and repeat the work.',
  });
}

/** Writes the state. @returns its new ETag */
export async function writeState(session: Session, state: State, runId?: string): Promise<string> {
  const { entities, ...rest } = state;
  const rows = Object.entries(entities).map(([entity, { table, ...own }]) => ({
    entity,
    table_name: table.name,
    strategy: own.strategy,
    delta_link: own.deltaLink ?? null,
    watermark: own.watermark ?? null,
    rows: own.rows,
    synced_at: own.syncedAt,
    state: JSON.stringify(own),
    model: JSON.stringify(table),
  }));
  const columns = [
    'table_name',
    'strategy',
    'delta_link',
    'watermark',
    'rows',
    'synced_at',
    'state',
    'model',
  ];
  const name = session.name('_sync_state');
  await session.run(
    `INSERT INTO ${name} AS s (entity, ${columns.join(', ')}, last_run)
     SELECT entity, ${columns.join(', ')}, $2::text FROM json_populate_recordset(NULL::${name}, $1::json)
     ON CONFLICT (entity) DO UPDATE SET ${columns.map((one) => `${one} = excluded.${one}`).join(', ')},
       last_run = coalesce(excluded.last_run, s.last_run)
     WHERE (s.state, s.model) IS DISTINCT FROM (excluded.state, excluded.model)`,
    [JSON.stringify(rows), runId ?? null],
  );
  await session.run(`DELETE FROM ${name} WHERE NOT (entity = ANY ($1::text[]))`, [Object.keys(entities)]);
  await writeMeta(session, metaNames.state, JSON.stringify(rest satisfies StoredState));
  const version: Version = { state: randomUUID() };
  await writeMeta(session, metaNames.version, JSON.stringify(version));
  return version.state;
}

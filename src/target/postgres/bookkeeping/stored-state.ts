import { createHash, randomUUID } from 'node:crypto';
import { ConflictError } from '../../../errors.ts';
import type { Table } from '../../../schema/table.ts';
import { emptyState, type LoadedState, type State, type TableState } from '../../state.ts';
import type { Session } from '../connection/session.ts';
import { storableJson } from '../connection/storable-text.ts';
import { hasBookkeeping, metaNames, readMeta, writeMeta } from './bookkeeping-tables.ts';

/** Which state of the mirror it is. */
interface Version {
  /** Another text with each change: after a restore of the database, too. */
  state: string;
  /** Digest of the models of the tables: they are large, and seldom change. */
  models: string;
}

/** The state but for the tables. */
type StoredState = Omit<State, 'entities'>;

/** A state as it was read. */
export interface ReadState extends LoadedState {
  /** Digest of the models in it. */
  models?: string;
  /** Whether it is all that is stored: its owner dropped no table. Then the next read can begin with it. */
  isWhole: boolean;
}

/** Which state the mirror has; undefined before the first. */
export async function readVersion(session: Session, lock = ''): Promise<Version | undefined> {
  const sql = `SELECT value FROM ${session.name('_sync_meta')} WHERE name = $1${lock}`;
  const text = (await session.get(sql, [metaNames.version]))?.['value'];
  return text == null ? undefined : (JSON.parse(text) as Version);
}

/**
 * Reads the state.
 * @param known one that was read before and is whole: what is still the same is not read again
 */
export async function readState(session: Session, known?: ReadState): Promise<ReadState> {
  const none: ReadState = { state: emptyState(), etag: undefined, isWhole: false };
  if (!(await hasBookkeeping(session))) return none;
  const version = await readVersion(session);
  if (version === undefined) return none;
  const { state: etag, models } = version;
  const withSameModels = known?.models === models ? known.state : undefined;
  const state = etag === known?.etag ? structuredClone(known.state) : await readAll(session, withSameModels);
  const dropped = await droppedTables(session);
  for (const name of dropped) delete state.entities[name];
  return { state, etag, models, isWhole: dropped.length === 0 };
}

/** @param known a state with the same models; without it they are read, too */
async function readAll(session: Session, known: State | undefined): Promise<State> {
  const rest = JSON.parse((await readMeta(session, metaNames.state)) ?? '{}') as StoredState;
  const model = known === undefined ? 'model' : 'NULL AS model';
  const rows = await session.all<{ entity: string; state: string; model: string | null }>(
    `SELECT entity, state, ${model} FROM ${session.name('_sync_state')} ORDER BY entity COLLATE "C"`,
  );
  const entities: State['entities'] = {};
  for (const { entity, state, model } of rows) {
    const table =
      model === null ? structuredClone(known!.entities[entity]!.table) : (JSON.parse(model) as Table);
    entities[entity] = { ...(JSON.parse(state) as Omit<TableState, 'table'>), table };
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
  if ((await readVersion(session, ' FOR UPDATE'))?.state === etag) return;
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
  const pairs = rows.map(({ entity, model }) => [entity, model]).sort();
  const models = createHash('sha256').update(JSON.stringify(pairs)).digest('hex').slice(0, 32);
  if ((await readVersion(session))?.models === models) await writeStates(session, rows, runId);
  else await writeModels(session, rows, runId);
  const name = session.name('_sync_state');
  await session.run(`DELETE FROM ${name} WHERE NOT (entity = ANY ($1::text[]))`, [Object.keys(entities)]);
  await writeMeta(session, metaNames.state, JSON.stringify(rest satisfies StoredState));
  const version: Version = { state: randomUUID(), models };
  await writeMeta(session, metaNames.version, JSON.stringify(version));
  return version.state;
}

type StoredTable = Record<string, string | number | null>;

/** The columns that change with each run. */
const stateColumns = ['table_name', 'strategy', 'delta_link', 'watermark', 'rows', 'synced_at', 'state'];

async function writeModels(session: Session, rows: readonly StoredTable[], runId?: string): Promise<void> {
  const name = session.name('_sync_state');
  const columns = [...stateColumns, 'model'];
  await session.run(
    `INSERT INTO ${name} AS s (entity, ${columns.join(', ')}, last_run)
     SELECT entity, ${columns.join(', ')}, $2::text FROM json_populate_recordset(NULL::${name}, $1::json)
     ON CONFLICT (entity) DO UPDATE SET ${columns.map((one) => `${one} = excluded.${one}`).join(', ')},
       last_run = coalesce(excluded.last_run, s.last_run)
     WHERE (s.state, s.model) IS DISTINCT FROM (excluded.state, excluded.model)`,
    [storableJson(rows), runId ?? null],
  );
}

/** All tables are there, with these models. */
async function writeStates(session: Session, rows: readonly StoredTable[], runId?: string): Promise<void> {
  const name = session.name('_sync_state');
  await session.run(
    `UPDATE ${name} s SET ${stateColumns.map((one) => `${one} = i.${one}`).join(', ')},
       last_run = coalesce($2::text, s.last_run)
     FROM json_populate_recordset(NULL::${name}, $1::json) i WHERE i.entity = s.entity AND s.state <> i.state`,
    [storableJson(rows.map(({ model: _, ...row }) => row)), runId ?? null],
  );
}

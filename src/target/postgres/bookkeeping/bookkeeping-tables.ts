import type { Session } from '../connection/session.ts';

/** Names in `_sync_meta`. */
export const metaNames = {
  /** Two texts that change with each commit of rows and with each save of the state: see `version.ts`. */
  version: 'version',
  /** The state but for the tables. */
  state: 'state',
  outcome: 'last-round',
  choices: 'choices',
  dangling: 'dangling-references',
  countedAt: 'dangling-references-counted-at',
  /** When the rows of large tables were counted last, by logical name. */
  rowsCountedAt: 'rows-counted-at',
  /** The size of tables on several nodes of a cluster, in bytes, as it was measured last. */
  clusterBytes: 'cluster-bytes',
} as const;

/** The sync's own tables. Queries depend on the names of these tables and columns: do not change them. */
const definitions: Record<string, string> = {
  _sync_state: `entity text PRIMARY KEY,
    table_name text NOT NULL,
    strategy text NOT NULL,
    delta_link text,
    watermark timestamp with time zone,
    rows bigint NOT NULL,
    synced_at timestamp with time zone NOT NULL,
    last_run text,
    state text NOT NULL,
    model text NOT NULL`,
  _sync_log: `run_id text NOT NULL,
    round integer NOT NULL,
    entity text NOT NULL,
    state text NOT NULL,
    strategy text NOT NULL,
    reason text,
    started_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone NOT NULL,
    seconds double precision NOT NULL,
    rows_read bigint NOT NULL,
    added bigint NOT NULL,
    updated bigint NOT NULL,
    deleted bigint NOT NULL,
    unchanged bigint NOT NULL,
    pages bigint NOT NULL,
    requests bigint NOT NULL,
    retries bigint NOT NULL,
    bytes bigint NOT NULL,
    error text,
    hint text,
    throttled bigint,
    waited_seconds double precision,
    wire_bytes bigint,
    is_narrow boolean NOT NULL,
    place bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (run_id, round, entity)`,
  _sync_schema_changes: `at timestamp with time zone NOT NULL,
    run_id text NOT NULL,
    table_name text NOT NULL,
    column_name text,
    change text NOT NULL,
    detail text NOT NULL,
    place bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY`,
  _sync_foreign_keys: `table_name text NOT NULL,
    column_name text NOT NULL,
    target_table text NOT NULL,
    type_column text,
    source text NOT NULL,
    PRIMARY KEY (table_name, column_name, target_table)`,
  _sync_deleted: `table_name text NOT NULL,
    id text NOT NULL,
    deleted_at timestamp with time zone NOT NULL,
    run_id text NOT NULL,
    place bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (table_name, id)`,
  _sync_meta: `name text PRIMARY KEY,
    value text NOT NULL`,
  _sync_names: `stored_name text NOT NULL,
    table_name text NOT NULL,
    name text NOT NULL,
    PRIMARY KEY (table_name, stored_name)`,
  _sync_views: `name text PRIMARY KEY,
    sql text NOT NULL,
    grants text`,
  _sync_tables: `table_name text PRIMARY KEY,
    display_name text,
    description text`,
  _sync_columns: `table_name text NOT NULL,
    column_name text NOT NULL,
    display_name text,
    description text,
    PRIMARY KEY (table_name, column_name)`,
  _choices: `table_name text NOT NULL,
    column_name text NOT NULL,
    value integer NOT NULL,
    language integer NOT NULL,
    label text NOT NULL,
    PRIMARY KEY (table_name, column_name, value, language)`,
  _files: `table_name text NOT NULL,
    row_id text NOT NULL,
    column_name text NOT NULL,
    file_id text NOT NULL,
    name text,
    blob text,
    bytes bigint NOT NULL,
    fetched_at timestamp with time zone NOT NULL,
    error text,
    PRIMARY KEY (table_name, row_id, column_name)`,
};

/** By the table, the columns of its indexes. */
const indexes: Record<string, string[]> = {
  _sync_deleted: ['run_id, table_name', 'deleted_at', 'place'],
  _sync_log: ['finished_at', 'place'],
};

/** Whether the schema has the sync's tables: it is that of a mirror. */
export async function hasBookkeeping(session: Session): Promise<boolean> {
  const row = await session.get('SELECT to_regclass($1) AS found', [session.name('_sync_meta')]);
  return row?.['found'] != null;
}

/** Creates those that are missing. Call it while no other writer works on the mirror. */
export async function createBookkeeping(session: Session): Promise<void> {
  const found = await session.all(
    `SELECT c.relname AS name FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.relname = ANY ($2::text[])`,
    [session.schema, Object.keys(definitions)],
  );
  const present = new Set(found.map(({ name }) => name));
  if (present.size === Object.keys(definitions).length) return;
  // An owner of the database may have created it for a user who may not create schemas.
  const sql = 'SELECT 1 AS one FROM pg_catalog.pg_namespace WHERE nspname = $1';
  if ((await session.get(sql, [session.schema])) === undefined) {
    await session.run(`CREATE SCHEMA ${session.schemaName}`);
  }
  for (const [name, columns] of Object.entries(definitions)) {
    if (present.has(name)) continue;
    await session.run(`CREATE TABLE ${session.name(name)} (${columns})`);
    for (const indexed of indexes[name] ?? []) {
      await session.run(`CREATE INDEX ON ${session.name(name)} (${indexed})`);
    }
  }
}

export async function readMeta(session: Session, name: string): Promise<string | undefined> {
  const sql = `SELECT value FROM ${session.name('_sync_meta')} WHERE name = $1`;
  return (await session.get(sql, [name]))?.['value'] ?? undefined;
}

export async function writeMeta(session: Session, name: string, value: string): Promise<void> {
  await session.run(
    `INSERT INTO ${session.name('_sync_meta')} AS m (name, value) VALUES ($1, $2)
     ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE m.value <> excluded.value`,
    [name, value],
  );
}

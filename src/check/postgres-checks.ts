import type { PostgresSettings } from '../config/postgres/postgres-settings.ts';
import { probeReader, probeServer } from '../target/postgres/probe.ts';
import type { PendingCheck } from './check.ts';

/** A first sync of some hundred tables needs more: each table, its indexes and its history are locked until it ends. */
const fewLocks = 256;

/** The server of the mirror, and the user for queries of people. */
export function postgresChecks(settings: PostgresSettings): PendingCheck[] {
  const { host, database, user } = settings.address;
  return [
    {
      name: `PostgreSQL: ${host}/${database}`,
      run: async () => {
        const facts = await probeServer(settings);
        const { version, maxConnections, maxLocksPerTransaction: locks } = facts;
        const few = locks < fewLocks;
        const { distributeRows } = settings;
        if (distributeRows !== undefined && !facts.isCluster) {
          return {
            ok: false,
            detail: `POSTGRES_DISTRIBUTE is set, and the database ${database} has no Citus: all tables stay on this server.`,
            hint: 'Use a cluster, such as an elastic cluster of Azure Database for PostgreSQL, and run CREATE EXTENSION citus in the database; or remove POSTGRES_DISTRIBUTE.',
          };
        }
        const distributes =
          distributeRows === undefined ? '' : `, and distribute those with ${distributeRows} rows`;
        return {
          ok: true,
          detail: `PostgreSQL ${version}: ${user} can create tables in the schema ${settings.schema}${distributes}.`,
          hint: few
            ? `For more than about ${Math.floor((locks * maxConnections) / 30)} tables, raise max_locks_per_transaction of the server (now ${locks}).`
            : undefined,
        };
      },
    },
    {
      name: 'PostgreSQL: readers',
      run: async () => {
        const canRead = await probeReader(settings);
        const reader = settings.reader?.user;
        if (canRead === undefined) {
          return {
            ok: true,
            detail: 'POSTGRES_READER_URL is not set: the page Data shows no rows.',
            hint: 'Create a user that may only read: see docs/postgres.md, "Readers".',
          };
        }
        return {
          ok: true,
          detail: canRead
            ? `${reader} can read the mirror, and nothing else.`
            : `${reader} can sign in. There is no mirror yet.`,
        };
      },
    },
  ];
}

import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { postgresAddress } from '../../../src/config/postgres/postgres-address.ts';
import { ConfigurationError } from '../../../src/errors.ts';
import type { Table } from '../../../src/schema/table.ts';
import { Shard } from '../../../src/sqlite/shard.ts';
import { loadSqlite } from '../../../src/sqlite/sqlite.ts';
import { SqliteDatabase } from '../../../src/sqlite/sqlite-database.ts';
import { createBookkeeping } from '../../../src/target/postgres/bookkeeping/bookkeeping-tables.ts';
import { Connections } from '../../../src/target/postgres/connection/connections.ts';
import { postgresError } from '../../../src/target/postgres/connection/postgres-errors.ts';
import type { Session } from '../../../src/target/postgres/connection/session.ts';
import { mergeTable } from '../../../src/target/postgres/rows/merge-table.ts';
import { TemporaryTables } from '../../../src/target/postgres/rows/temporary-tables.ts';
import { startPostgres } from '../../postgres.ts';

const sqlite = await loadSqlite();
let connections: Connections;

beforeAll(async () => {
  const address = await (await startPostgres()).createDatabase();
  connections = new Connections({ ...postgresAddress(address), schema: 'mirror' });
});
afterAll(() => connections.close());

function tableOf(n: number): Table {
  return {
    ...{ logicalName: `t${n}`, name: `t${n}`, primaryKey: 'id', changeTracking: true },
    columns: [
      { name: 'id', property: 'id', edmType: 'Edm.Guid', reading: 'guid' },
      { name: `text${n}`, property: `text${n}`, edmType: 'Edm.String', reading: 'text' },
    ] as Table['columns'],
    ...{ foreignKeys: [], intersect: false },
  };
}

/** A shard with these rows, and swept keys. */
function shardOf(column: string, rows: readonly { id: string; text: string }[]): SqliteDatabase {
  const db = SqliteDatabase.open(sqlite);
  db.run(`CREATE TABLE rows (id TEXT, ${column} TEXT, _version TEXT)`);
  db.run('CREATE TABLE keys (id TEXT, _version TEXT)');
  db.run('CREATE TABLE deleted (id TEXT)');
  for (const { id, text } of rows) {
    db.run(`INSERT INTO rows VALUES (?, ?, '1')`, [id, text]);
    db.run(`INSERT INTO keys VALUES (?, '1')`, [id]);
  }
  return db;
}

const merge = (session: Session, temporary: TemporaryTables, n: number, ...shards: SqliteDatabase[]) =>
  mergeTable(
    session,
    tableOf(n),
    shards.map((db) => ({ open: async () => Shard.open(sqlite, db.export()), isFinal: true })),
    {
      ...{ runId: 'run', at: '2026-11-21T02:00:00Z', history: false, startHistory: false, rowsBefore: 0 },
      ...{ isCounted: true, massDeleteLimit: 1, isComplete: true, comparedKeys: 'all', temporary },
    },
  );

test('the locks that merges of many tables hold are those of the tables', async () => {
  const counts = await connections.write(async (session) => {
    await createBookkeeping(session);
    const temporary = new TemporaryTables(session);
    const counts: number[] = [];
    for (let n = 0; n < 12; n++) {
      await session.run(`CREATE TABLE mirror.t${n} (id uuid PRIMARY KEY, text${n} text)`);
      const rows = [0, 1].map((index) => ({ id: randomUUID(), text: `${n}.${index}` }));
      const shards = [[rows[0]!], rows].map((list) => shardOf(`text${n}`, list));
      const merged = await merge(session, temporary, n, ...shards);
      // Nothing of an earlier table or shard is left in the lists.
      expect(merged).toMatchObject({ added: 2, updated: 0, deleted: 0, rows: 2, outdatedIds: [], absent: 0 });
      counts.push(
        await session.number(
          // An object that is locked in several modes takes one place.
          `SELECT count(DISTINCT (locktype, relation, classid, objid)) AS n FROM pg_locks WHERE pid = pg_backend_pid()`,
        ),
      );
    }
    return counts;
  });
  // A table, its index, its large values and their index, and the same of its rows in shards.
  expect((counts.at(-1)! - counts[1]!) / 10).toBeLessThan(10);
});

test('a server without room for the locks names the setting', async () => {
  const full = Object.assign(new Error('out of shared memory'), {
    code: '53200',
    routine: 'LockAcquireExtended',
  });
  const error = postgresError(full, 'work on', 'account');
  expect(error).toBeInstanceOf(ConfigurationError);
  expect((error as ConfigurationError).hint).toContain('max_locks_per_transaction');
});

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { SyncError } from '../../src/errors.ts';
import { createTableSql } from '../../src/schema/sql.ts';
import { Shard } from '../../src/sqlite/shard.ts';
import { loadSqlite } from '../../src/sqlite/sqlite.ts';
import { SqliteDatabase } from '../../src/sqlite/sqlite-database.ts';
import { ShardCache } from '../../src/storage/shard-cache.ts';
import { rowVersion } from '../../src/sync/fetch/row-version.ts';
import { mergeTable } from '../../src/target/sqlite/rows/merge-table.ts';
import { createBookkeeping } from '../../src/target/sqlite/tables/bookkeeping.ts';
import { column, table } from '../schema/tables.ts';
import { Organisation, reportOf } from '../sync/organisation.ts';
import { withDatabase } from '../sync/truth.ts';
import { fuzz } from './fuzz.ts';
import { damages, damagesInPlace, Mutant } from './mutations.ts';

/** Shards that storage gives back damaged. They are merged or rejected; nothing else suffers. */

const tokens = [
  ...['SQLite format 3\0', 'CREATE TABLE rows', 'CREATE VIEW rows ', 'WITHOUT ROWID', 'accountid', ' UNIQUE'],
  ...[
    'CHECK(0)',
    '_version',
    'table',
    'view',
    'index',
    'rows',
    'deleted',
    'keys',
    "AS ('x')",
    'rowid',
    'name',
  ],
  ...['\0', '\0\0\0\0', '\x01', '\x02', '\x05', '\x0a', '\x0d', '\x7f', '\u00ff', '\x10\0', '\0\x01\0\x02'],
];

const sqlite = await loadSqlite();
const accounts = table('account', [column('name', 'text'), column('revenue', 'real'), column('raw', 'json')]);
const record = (n: number) => ({
  '@odata.etag': `W/"${100 + n}"`,
  accountid: `00000000-0000-0000-0000-${String(n).padStart(12, '0')}`,
  name: `name ${n}`.repeat(n % 9),
  revenue: n / 3,
  raw: { n },
});

/** A shard as a slice stores it. @param count enough for a tree of several pages, if it is large */
function shardOf(count: number): Buffer {
  const shard = Shard.create(sqlite);
  const options = { columns: accounts.columns, primaryKey: accounts.primaryKey, version: rowVersion };
  for (const name of ['rows', 'keys']) {
    const list = Array.from({ length: count }, (_, n) => JSON.stringify(record(n))).join();
    const body = Buffer.from(list);
    shard.recordWriter(name, options).write(body, 0, body.length);
  }
  shard.addDeleted(['00000000-0000-0000-0000-000000000900', 'unknown']);
  const bytes = Buffer.from(shard.export());
  shard.close();
  return bytes;
}

function mirror(): SqliteDatabase {
  const db = SqliteDatabase.open(sqlite);
  createBookkeeping(db);
  db.exec(createTableSql(accounts));
  db.exec(
    "CREATE TABLE contacts (contactid TEXT PRIMARY KEY, name TEXT); INSERT INTO contacts VALUES ('c', 'kept')",
  );
  for (const n of [1, 2, 900])
    db.run('INSERT INTO accounts VALUES (?, ?, ?, ?)', [record(n).accountid, 'old', 1, '{}']);
  return db;
}

const integrity = (db: SqliteDatabase) => db.all('PRAGMA integrity_check');

const shards = { 'a shard of one page for each table': shardOf(5), 'a shard of many pages': shardOf(600) };
const damaged = fc
  .tuple(
    fc.constantFrom(...(Object.keys(shards) as (keyof typeof shards)[])),
    fc.oneof({ weight: 5, arbitrary: damagesInPlace(tokens) }, damages(tokens)),
  )
  .map(([name, how]) => new Mutant(name, shards[name], how));

describe('shards', () => {
  fuzz('that are damaged leave a sound mirror', damaged, { seed: 21, runs: 60 }, async ({ bytes }) => {
    const db = mirror();
    try {
      const open = async () => Shard.open(sqlite, new Uint8Array(bytes)).db;
      const merge = { runId: 'r', at: '2026-01-01T00:00:00Z', history: false, startHistory: false };
      await mergeTable(db, accounts, [{ open, final: true }], {
        ...{ ...merge, massDeleteLimit: 1, complete: false, keys: 'all', rowsBefore: 3, isCounted: true },
      });
    } catch (error) {
      const isCounted = error instanceof Error && /^Merging accounts left \d+ rows/.test(error.message);
      if (!(error instanceof SyncError) && !isCounted) throw error;
    }
    expect(integrity(db)).toEqual([{ integrity_check: 'ok' }]);
    expect(db.all('SELECT * FROM contacts')).toEqual([{ contactid: 'c', name: 'kept' }]);
    db.close();
  });
});

describe('a run', () => {
  /** Keeps nothing, so that every merge reads its shards from storage. */
  class NoCache extends ShardCache {
    override put(): void {}
  }

  let org: Organisation;
  let how: ConstructorParameters<typeof Mutant>[2] = [];
  let reads = 0;

  beforeAll(async () => {
    org = await Organisation.start(['account', { name: 'lead', history: true }, 'contact']);
    const { services } = org.harness;
    services.shards = new NoCache();
    const { work } = services;
    const getBytes = work.getBytes.bind(work);
    work.getBytes = async (name) => {
      const bytes = await getBytes(name);
      if (bytes === undefined || !/\/account\/shards\//.test(name)) return bytes;
      reads += 1;
      return Buffer.from(new Mutant(name, Buffer.from(bytes), how).bytes);
    };
    org.rows('account', 40);
    org.rows('lead', 5);
    org.rows('contact', 5);
    await org.sync();
  });
  afterAll(() => org.stop());

  const options = { seed: 22, runs: 2, long: 300 };
  fuzz('with a damaged shard merges the other tables', damagesInPlace(tokens), options, async (some) => {
    how = some;
    reads = 0;
    org.rows('account', 3);
    org.store.create('lead', {});
    const { entities } = await org.sync({ reread: ['account'] });
    expect(reads).toBeGreaterThan(0);
    how = [];
    expect(['merged', 'failed']).toContain(reportOf({ entities }, 'account').state);
    expect(reportOf({ entities }, 'lead')).toMatchObject({ state: 'merged', added: 1 });
    await org.expectMirror('lead', 'contact');
    withDatabase(await org.harness.databaseBytes(), (db) =>
      expect(db.prepare('PRAGMA integrity_check').all()).toEqual([{ integrity_check: 'ok' }]),
    );
    // Whatever was merged, a read of the whole table corrects it.
    await org.sync({ reread: ['account'] });
    await org.expectMirror('account');
  });
});

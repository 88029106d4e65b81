import { beforeEach, describe, expect, it } from 'vitest';
import { RetriableError } from '../../../src/errors.ts';
import { loadSqlite } from '../../../src/sqlite/sqlite.ts';
import type { SqliteDatabase } from '../../../src/sqlite/sqlite-database.ts';
import { DatabaseCache } from '../../../src/target/sqlite/database-cache.ts';
import { memoryStorage } from '../../sync/memory-storage.ts';

const sqlite = await loadSqlite();

describe('DatabaseCache', () => {
  let file: ReturnType<typeof memoryStorage>['databaseFile'];
  let cache: DatabaseCache;
  /** What each load returned. */
  let loads: string[];

  beforeEach(() => {
    file = memoryStorage().databaseFile;
    cache = new DatabaseCache(file, sqlite, 100_000_000);
    loads = [];
    const load = file.load.bind(file);
    file.load = async (ifNot) => {
      const loaded = await load(ifNot);
      loads.push(typeof loaded === 'string' ? loaded : 'bytes');
      return loaded;
    };
  });

  const insert = (value: number) =>
    cache.change(async ({ db, commit }) => {
      db.exec(`CREATE TABLE IF NOT EXISTS t (x); INSERT INTO t VALUES (${value})`);
      await commit();
      return db;
    });
  const values = (db: SqliteDatabase) => db.all<{ x: number }>('SELECT x FROM t').map(({ x }) => x);
  const isClosed = (db: SqliteDatabase) => {
    expect(() => db.all('SELECT 1')).toThrow(/closed/);
  };

  it('downloads only what it does not have', async () => {
    const first = await insert(1);
    expect(await insert(2)).toBe(first);
    expect(await cache.read(values)).toEqual([1, 2]);
    expect(loads).toEqual(['absent', 'unchanged', 'unchanged']);
    await new DatabaseCache(file, sqlite, 100_000_000).change(async ({ db, commit }) => {
      db.exec('INSERT INTO t VALUES (3)');
      await commit();
    });
    expect(await cache.read(values)).toEqual([1, 2, 3]);
    expect(loads.slice(3)).toEqual(['bytes', 'bytes']);
    isClosed(first);
  });

  it('reads nothing where there is no database', async () => {
    expect(await cache.read(values)).toBeUndefined();
  });

  it('closes a database whose change fails or is not committed', async () => {
    await insert(1);
    const changed: SqliteDatabase[] = [];
    const change = async ({ db }: { db: SqliteDatabase }) => {
      changed.push(db);
      db.exec('DELETE FROM t');
    };
    await cache.change(change);
    await expect(
      cache.change(async (opened) => {
        await change(opened);
        throw new Error('failed');
      }),
    ).rejects.toThrow('failed');
    await expect(
      cache.read((db) => {
        changed.push(db);
        throw new Error('failed, too');
      }),
    ).rejects.toThrow('failed, too');
    changed.forEach(isClosed);
    expect(await cache.read(values)).toEqual([1]);
  });

  it('closes a database whose commit fails', async () => {
    const { commit } = file;
    let failed: SqliteDatabase | undefined;
    file.commit = async () => {
      throw new RetriableError('busy');
    };
    await expect(
      cache.change(async (change) => {
        failed = change.db;
        await change.commit();
      }),
    ).rejects.toThrow('busy');
    isClosed(failed!);
    file.commit = commit;
    await insert(1);
  });

  it('loses no database where the file cannot be loaded', async () => {
    const first = await insert(1);
    const { load: works } = file;
    file.load = async () => {
      throw new RetriableError('busy');
    };
    for (let tries = 0; tries < 2; tries++) await expect(cache.read(values)).rejects.toThrow('busy');
    await expect(insert(2)).rejects.toThrow('busy');
    file.load = works;
    expect(await cache.read((db) => db)).toBe(first);
    expect(loads).toEqual(['absent', 'unchanged']);
  });

  it('holds one database where two use it at once', async () => {
    await insert(1);
    const work = [insert(2), cache.read((db) => db), insert(3)];
    const dbs = await Promise.all(work.map((one) => one.catch(() => undefined)));
    const open = [...new Set(dbs)].filter((db) => db !== undefined && isOpen(db));
    expect(open).toHaveLength(1);
  });
});

function isOpen(db: SqliteDatabase): boolean {
  try {
    db.all('SELECT 1');
    return true;
  } catch {
    return false;
  }
}

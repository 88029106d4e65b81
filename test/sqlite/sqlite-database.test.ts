import type { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import { ConfigurationError, SyncError } from '../../src/errors.ts';
import { quoteIdentifier } from '../../src/schema/sql.ts';
import { loadSqlite } from '../../src/sqlite/sqlite.ts';
import { SqliteDatabase } from '../../src/sqlite/sqlite-database.ts';
import { openIndependently } from './independent.ts';

const sqlite = await loadSqlite();

describe('loadSqlite', () => {
  it('loads once', async () => {
    expect(await loadSqlite()).toBe(sqlite);
  });

  it("keeps SQLite's own functions", () => {
    const db = SqliteDatabase.open(sqlite);
    expect(db.get('SELECT instr(?, ?) AS at, sqlite_version() AS version', ['abc', 'c'])).toEqual({
      at: 3,
      version: '3.54.1',
    });
    db.close();
  });
});

describe('SqliteDatabase', () => {
  it('stores and returns every kind of value', () => {
    const db = SqliteDatabase.open(sqlite);
    db.exec('CREATE TABLE t (a TEXT, b INTEGER, c REAL, d BLOB, e INTEGER, f TEXT)');
    db.run('INSERT INTO t VALUES (?, ?, ?, ?, ?, ?)', [
      'nul\0 \ud83d\ude00 \ud800',
      9223372036854775807n,
      0.1,
      new Uint8Array([0, 255]),
      true,
      null,
    ]);
    expect(db.changes).toBe(1);
    expect(db.get('SELECT * FROM t', [], { bigints: true })).toEqual({
      a: 'nul\0 \ud83d\ude00 \ufffd',
      b: 9223372036854775807n,
      c: 0.1,
      d: new Uint8Array([0, 255]),
      e: 1n,
      f: null,
    });
    expect(db.all('SELECT e FROM t')).toEqual([{ e: 1 }]);
    expect(db.get('SELECT e FROM t WHERE 0')).toBeUndefined();
    db.close();
  });

  it('sets its pragmas', () => {
    const db = SqliteDatabase.open(sqlite);
    db.exec('CREATE TABLE t (a)');
    const pragma = (name: string) => Object.values(db.get(`PRAGMA ${name}`)!)[0];
    expect(['page_size', 'journal_mode', 'synchronous', 'locking_mode'].map(pragma)).toEqual([
      8192,
      'memory',
      0,
      'exclusive',
    ]);
    db.close();
  });

  it('reports the first words of the failed SQL, and no values', () => {
    const db = SqliteDatabase.open(sqlite);
    db.exec('CREATE TABLE t (id TEXT PRIMARY KEY)');
    db.run('INSERT INTO t VALUES (?)', ['secret']);
    let error: unknown;
    try {
      db.run('INSERT INTO t VALUES (?)', ['secret']);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(SyncError);
    expect((error as SyncError).message).toBe(
      'SQLite: UNIQUE constraint failed: t.id (in: INSERT INTO t VALUES (?))',
    );
    expect(() => db.all('SELECT missing')).toThrow(/no such column: missing/);
    expect(() => SqliteDatabase.open(sqlite, Buffer.from('not a database, at all'.repeat(99)))).toThrow(
      /not a database/,
    );
    db.close();
    expect(() => db.all('SELECT 1')).toThrow('The database is closed');
  });

  it('rolls back a failed transaction, nested or not', () => {
    const db = SqliteDatabase.open(sqlite);
    db.exec('CREATE TABLE t (a)');
    const count = () => db.get<{ n: number }>('SELECT count(*) AS n FROM t')!.n;
    db.transaction(() => {
      db.run('INSERT INTO t VALUES (1)');
      expect(() =>
        db.transaction(() => {
          db.run('INSERT INTO t VALUES (2)');
          throw new Error('undo the inner one');
        }),
      ).toThrow('undo the inner one');
      expect(() => db.export()).toThrow('inside a transaction');
    });
    expect(count()).toBe(1);
    expect(() =>
      db.transaction(() => {
        db.exec('DELETE FROM t');
        throw new Error('undo');
      }),
    ).toThrow('undo');
    expect(count()).toBe(1);
    expect(() => db.transaction(() => Promise.resolve())).toThrow(TypeError);
    db.run('INSERT INTO t VALUES (3)');
    expect(count()).toBe(2);
    db.close();
  });

  it('attaches another open database', () => {
    const db = SqliteDatabase.open(sqlite);
    const other = SqliteDatabase.open(sqlite, undefined, { locking: 'normal' });
    other.exec('CREATE TABLE t (a); INSERT INTO t VALUES (7)');
    for (const alias of ['shard', 'odd "name"']) {
      db.attach(other, alias);
      expect(db.all(`SELECT a FROM ${quoteIdentifier(alias)}.t`)).toEqual([{ a: 7 }]);
      db.detach(alias);
    }
    other.run('INSERT INTO t VALUES (8)');
    other.close();
    db.close();
  });

  it('does not open or grow a file beyond its limit, and stays usable', () => {
    const db = SqliteDatabase.open(sqlite, undefined, { maxBytes: 1_000_000 });
    db.exec('CREATE TABLE t (a)');
    expect(() => db.run('INSERT INTO t VALUES (zeroblob(2000000))')).toThrow(ConfigurationError);
    db.run('INSERT INTO t VALUES (1)');
    const bytes = db.export();
    db.close();
    expect(() => SqliteDatabase.open(sqlite, bytes, { maxBytes: 1000 })).toThrow(
      /beyond the limit of 1000 bytes/,
    );
  });
});

describe('export', () => {
  /** A database of 1,000 rows. */
  function sample(): Uint8Array {
    const db = SqliteDatabase.open(sqlite);
    db.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)');
    db.transaction(() => {
      for (let i = 0; i < 1000; i++) db.run('INSERT INTO t VALUES (?, ?)', [i, 'x'.repeat(500)]);
    });
    const bytes = db.export();
    db.close();
    return bytes;
  }

  it('is of the bytes that were opened, which SQLite works in', () => {
    const bytes = sample();
    const db = SqliteDatabase.open(sqlite, bytes);
    db.run("UPDATE t SET a = 'changed' WHERE id = 7");
    for (const file of [bytes, db.export()]) {
      const independent = openIndependently(file);
      expect(independent.prepare('SELECT a FROM t WHERE id = 7').get()).toEqual({ a: 'changed' });
      independent.close();
    }
    db.close();
  });

  it('does not write beyond bytes that are part of a larger buffer', () => {
    const bytes = sample();
    const among = Buffer.alloc(bytes.length + 1_000_000, 7);
    among.set(bytes);
    const db = SqliteDatabase.open(sqlite, among.subarray(0, bytes.length));
    db.run("INSERT INTO t VALUES (5000, printf('%.*c', 900000, 'y'))");
    expect(among.subarray(bytes.length).every((byte) => byte === 7)).toBe(true);
    expect(db.export().buffer === among.buffer).toBe(false);
    db.close();
  });

  it.each([
    ['grew', "INSERT INTO t VALUES (5000, printf('%.*c', 900000, 'y'))"],
    ['grew, was rolled back and changed', 'rollback'],
    ['shrank and grew back', 'DELETE FROM t WHERE id > 500; VACUUM'],
  ])('returns the right bytes of a file that %s', (_, sql) => {
    const db = SqliteDatabase.open(sqlite, sample());
    if (sql === 'rollback') {
      expect(() =>
        db.transaction(() => {
          db.run("INSERT INTO t VALUES (5000, printf('%.*c', 9000000, 'y'))");
          throw new Error('undo');
        }),
      ).toThrow('undo');
      expect(db.byteLength).toBe(sample().length);
    } else {
      db.exec(sql);
    }
    db.exec("UPDATE t SET a = 'last' WHERE id = 3");
    const expected = db.all('SELECT * FROM t ORDER BY id');
    const independent: DatabaseSync = openIndependently(db.export());
    expect(independent.prepare('SELECT * FROM t ORDER BY id').all()).toEqual(expected);
    independent.close();
    db.close();
  });
});

import fc from 'fast-check';
import { afterAll, expect, it } from 'vitest';
import { type Pages, prefetchIndex, prefetchTable } from '../../../src/sqlite/paged/page-prefetch.ts';
import { loadSqlite } from '../../../src/sqlite/sqlite.ts';
import { SqliteDatabase } from '../../../src/sqlite/sqlite-database.ts';

const sqlite = await loadSqlite();
const db = SqliteDatabase.open(sqlite);
afterAll(() => db.close());

const pageSize = 8192;
const idOf = (n: number) => `${String((n * 7919) % 100_003).padStart(6, '0')}-${'k'.repeat(n % 40)}`;
db.exec(`CREATE TABLE wide (id TEXT PRIMARY KEY, t TEXT);
  CREATE TABLE pairs (name TEXT, id TEXT, PRIMARY KEY (name, id)); CREATE TABLE none (id TEXT PRIMARY KEY)`);
db.transaction(() => {
  for (let n = 0; n < 20_000; n += 1) {
    db.run('INSERT INTO wide (rowid, id, t) VALUES (?, ?, ?)', [n * 3 + 1, idOf(n), 'x'.repeat(n % 300)]);
    db.run('INSERT INTO pairs VALUES (?, ?)', [n % 2 === 0 ? 'even' : 'odd', idOf(n)]);
  }
});
const bytes = db.export();
const rootOf = (name: string) =>
  db.get<{ p: number }>('SELECT rootpage AS p FROM sqlite_master WHERE name = ?', [name])!.p;

/** The file, and how it was asked for. */
function pagesOf(file: Uint8Array): Pages & { brought: Set<number>; calls: number } {
  const pages = {
    brought: new Set<number>(),
    calls: 0,
    bring(numbers: readonly number[]) {
      pages.calls += 1;
      for (const page of numbers) pages.brought.add(page);
    },
    get: (page: number) => {
      // What is looked at was brought before, together with others.
      expect(pages.brought.has(page)).toBe(true);
      return file.subarray((page - 1) * pageSize, page * pageSize);
    },
  };
  return pages;
}

it('finds the rows of an index, and brings a few pages for each, level by level', () => {
  const property = fc.property(fc.uniqueArray(fc.nat(30_000), { maxLength: 80 }), (numbers) => {
    const pages = pagesOf(bytes);
    const keys = numbers.map((n) => [Buffer.from(idOf(n))]);
    const rows = prefetchIndex(pages, rootOf('sqlite_autoindex_wide_1'), keys);
    const present = numbers.filter((n) => n < 20_000).map((n) => n * 3 + 1);
    expect(rows.toSorted((a, b) => a - b)).toEqual(present.toSorted((a, b) => a - b));
    expect(pages.calls).toBeLessThanOrEqual(3);
    expect(pages.brought.size).toBeLessThanOrEqual(numbers.length * 2 + 1);
    const before = pages.brought.size;
    prefetchTable(pages, rootOf('wide'), rows);
    expect(pages.brought.size - before).toBeLessThanOrEqual(rows.length * 2 + 1);
  });
  fc.assert(property, { numRuns: 30, seed: 4 });
});

it('compares column by column', () => {
  const pages = pagesOf(bytes);
  const keys = [4, 5, 6, 7].flatMap((n) => [
    [Buffer.from('even'), Buffer.from(idOf(n))],
    [Buffer.from('odd'), Buffer.from(idOf(n))],
  ]);
  expect(prefetchIndex(pages, rootOf('sqlite_autoindex_pairs_1'), keys)).toHaveLength(4);
});

it('finds nothing in an empty index, and in pages of something else', () => {
  const keys = [[Buffer.from('a')]];
  expect(prefetchIndex(pagesOf(bytes), rootOf('sqlite_autoindex_none_1'), keys)).toEqual([]);
  expect(prefetchIndex(pagesOf(bytes), rootOf('wide'), keys)).toEqual([]);
  expect(() => prefetchTable(pagesOf(bytes), rootOf('sqlite_autoindex_wide_1'), [1])).not.toThrow();
});

it('ends on damaged pages', () => {
  const property = fc.property(
    fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { maxLength: 400 }),
    (damage) => {
      const file = Uint8Array.from(bytes);
      const [index, table] = [rootOf('sqlite_autoindex_wide_1'), rootOf('wide')];
      for (const [n, [at, value]] of damage.entries()) {
        // Half of it where it matters.
        file[n % 2 === 0 ? at : ((n % 4 === 1 ? index : table) - 1) * pageSize + (at % pageSize)] = value;
      }
      const pages = pagesOf(file);
      pages.get = (page) => {
        const found = file.subarray((page - 1) * pageSize, page * pageSize);
        if (found.length < pageSize) throw new RangeError('behind the end');
        return found;
      };
      try {
        const rows = prefetchIndex(pages, index, [[Buffer.from(idOf(7))], [Buffer.from(idOf(9_999))]]);
        prefetchTable(pages, table, rows);
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError);
      }
    },
  );
  fc.assert(property, { numRuns: 100, seed: 8 });
});

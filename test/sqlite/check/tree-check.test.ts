import type { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import { SummarizedFile } from '../../../src/sqlite/check/summarized-file.ts';
import type { FileCheck } from '../../../src/sqlite/check/tree-check.ts';
import { changed, checkFile, databaseOf, findingsOf, treesOf } from './sound-files.ts';

const pageSize = 8192;

/** Pseudo-random, so that a failure can be repeated. */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 48_271) % 2_147_483_647;
    return Math.floor((state / 2_147_483_647) * below);
  };
}

const schema = [
  'CREATE TABLE rows (id TEXT PRIMARY KEY, number REAL, text TEXT, parent TEXT, version INTEGER)',
  'CREATE INDEX rows_parent ON rows (parent)',
  'CREATE INDEX rows_some ON rows (version) WHERE version > 500000000',
  'CREATE TABLE long (id TEXT PRIMARY KEY, text TEXT, _deleted_at TEXT)',
  'CREATE TABLE empty (id TEXT PRIMARY KEY, value)',
  'CREATE TABLE pairs (a TEXT, b INTEGER, c TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID',
  'CREATE VIEW some AS SELECT * FROM rows',
  `CREATE TABLE wide (${Array.from({ length: 400 }, (_, n) => `column_number_${n} TEXT`).join()})`,
];

function fill(db: DatabaseSync): void {
  const random = randomNumbers(11);
  const rows = db.prepare('INSERT OR IGNORE INTO rows VALUES (?, ?, ?, ?, ?)');
  for (let n = 0; n < 1500; n += 1) {
    const parent = random(5) > 0 ? `parent ${random(200)}` : null;
    rows.run(`${random(1e9)}`, random(1e6) / 3, 'x'.repeat(random(300)), parent, random(1e9));
  }
  const long = db.prepare('INSERT OR IGNORE INTO long VALUES (?, ?, ?)');
  for (let n = 0; n < 60; n += 1)
    long.run(`${random(1e9)}`, 'y'.repeat(random(50_000)), random(3) > 0 ? null : 'z');
  const pairs = db.prepare('INSERT OR IGNORE INTO pairs VALUES (?, ?, ?)');
  for (let n = 0; n < 800; n += 1) pairs.run(`${random(99)}`, random(9999), 'q'.repeat(random(90)));
  db.exec('INSERT INTO wide DEFAULT VALUES');
  db.exec('DELETE FROM rows WHERE version % 7 = 3; DELETE FROM long WHERE rowid % 3 = 1');
  db.exec('UPDATE rows SET text = text || text WHERE version % 5 = 1');
}

const sound = databaseOf(schema, fill);
const trees = treesOf(sound);
const pageCount = sound.length / pageSize;

function check(bytes: Uint8Array, of = trees): FileCheck {
  const found = checkFile(bytes, of);
  if (found === 'not a database') throw new Error(found);
  return found;
}

describe('the check of a sound file', () => {
  it('finds nothing, and counts the rows of each table and the entries of each index', () => {
    expect(findingsOf(sound, 'integrity_check')).toEqual([]);
    const { faultCount, trees: counts, freePages } = check(sound);
    expect(faultCount).toBe(0);
    expect(freePages).toBeGreaterThan(0);
    const rowsOf = Object.fromEntries(counts.map(({ tree, rows }) => [tree.name, rows]));
    expect(rowsOf).toMatchObject({ empty: 0, wide: 1, long: 40 });
    expect(rowsOf['rows']).toBeGreaterThan(1000);
    expect(rowsOf['rows_parent']).toBe(rowsOf['rows']);
    expect(rowsOf['rows_some']).toBeLessThan(rowsOf['rows']!);
    expect(rowsOf['pairs']).toBeGreaterThan(700);
    // Every page is counted once.
    const pages = counts.reduce((sum, one) => sum + one.pages, freePages);
    expect(pages).toBe(pageCount);
  });

  it.each([
    ['without tables', databaseOf(['CREATE TABLE gone (id)', 'DROP TABLE gone'])],
    ['with free pages alone', changed(sound, 'DROP TABLE rows; DROP TABLE long; DROP TABLE pairs')],
    ['after many changes', changed(sound, "UPDATE rows SET parent = 'p' || version; DELETE FROM long")],
    ['after VACUUM', changed(sound, 'VACUUM')],
    ['with pointer maps', databaseOf(['PRAGMA auto_vacuum=full', ...schema], fill)],
    ['with small pages', databaseOf(['PRAGMA page_size=512', ...schema], fill)],
    ['with the largest pages', databaseOf(['PRAGMA page_size=65536', ...schema], fill)],
  ])('finds nothing in one %s', (_, bytes) => {
    expect(findingsOf(bytes, 'integrity_check')).toEqual([]);
    expect(check(bytes, treesOf(bytes))).toMatchObject({ faultCount: 0, faults: [] });
  });

  it('reads only the blocks again that changed', () => {
    const file = new SummarizedFile();
    const blocks = (version: string) =>
      [0, 1].map((n) => ({ id: n === 1 ? version : 'same', from: n * pageSize, to: (n + 1) * pageSize }));
    const bytes = sound.subarray(0, 2 * pageSize);
    for (const { index, block } of file.missing(blocks('a')))
      file.add(index, block, bytes.subarray(block.from, block.to));
    expect(file.missing(blocks('a'))).toEqual([]);
    expect(file.missing(blocks('b')).map(({ index }) => index)).toEqual([1]);
    // A file with pages of another size is another file.
    const other = databaseOf(['PRAGMA page_size=4096', ...schema]);
    const first = { id: 'other', from: 0, to: pageSize };
    file.add(0, first, other.subarray(0, pageSize));
    expect(file.missing([first, blocks('a')[1]!]).map(({ index }) => index)).toEqual([1]);
  });
});

/** What can happen to a file. */
const damages: Record<string, (bytes: Buffer, random: (below: number) => number, later: Buffer) => Buffer> = {
  'a bit in the header of a page': (bytes, random) => flip(bytes, headerOf(random) + random(12), random),
  'a bit in the pointers of a page': (bytes, random) =>
    flip(bytes, headerOf(random) + 8 + random(200), random),
  'a bit anywhere': (bytes, random) => flip(bytes, random(bytes.length), random),
  'two pages in the place of each other': (bytes, random) => {
    const [a, b] = [random(pageCount), random(pageCount)];
    sound.copy(bytes, a * pageSize, b * pageSize, (b + 1) * pageSize);
    sound.copy(bytes, b * pageSize, a * pageSize, (a + 1) * pageSize);
    return bytes;
  },
  'a page twice': (bytes, random) => {
    const [a, b] = [random(pageCount), random(pageCount)];
    sound.copy(bytes, a * pageSize, b * pageSize, (b + 1) * pageSize);
    return bytes;
  },
  'a page of zeros': (bytes, random) => {
    const at = random(pageCount) * pageSize;
    return bytes.fill(0, at, at + pageSize);
  },
  'a page of a later state': (bytes, random, later) => {
    const at = random(pageCount) * pageSize;
    later.copy(bytes, at, at, at + pageSize);
    return bytes;
  },
  'a block twice': (bytes, random) => {
    const size = 32 * pageSize;
    const [a, b] = [random(pageCount / 32), random(pageCount / 32)];
    sound.copy(bytes, a * size, b * size, (b + 1) * size);
    return bytes;
  },
  'the end missing': (bytes, random) => bytes.subarray(0, (pageCount - 1 - random(20)) * pageSize),
};

function headerOf(random: (below: number) => number): number {
  const page = random(pageCount);
  return page === 0 ? 100 : page * pageSize;
}

function flip(bytes: Buffer, at: number, random: (below: number) => number): Buffer {
  bytes[at] = bytes[at]! ^ (1 << random(8));
  return bytes;
}

describe('the check of a damaged file', () => {
  const later = changed(
    sound,
    "UPDATE rows SET parent = version % 90, text = 'z'; DELETE FROM long WHERE rowid % 2 = 0",
  );

  it.each(Object.entries(damages))('finds what quick_check finds: %s', (_, damage) => {
    const random = randomNumbers(29);
    let found = 0;
    for (let n = 0; n < 12; n += 1) {
      const bytes = damage(Buffer.from(sound), random, later);
      const expected = findingsOf(bytes, 'quick_check');
      // The app reads the schema with SQLite, which finds that itself.
      if (expected.length === 0 || expected[0]!.includes('malformed database schema')) continue;
      const own = checkFile(bytes, trees);
      expect(own === 'not a database' ? 1 : own.faultCount, expected[0]).toBeGreaterThan(0);
      found += 1;
    }
    if (_ !== 'a bit anywhere') expect(found).toBeGreaterThan(0);
  });

  it('names the table, and limits what it lists', () => {
    const { root } = trees.find(({ name }) => name === 'rows')!;
    const bytes = Buffer.from(sound).fill(0, (root - 1) * pageSize, root * pageSize);
    const { faults, faultCount } = check(bytes);
    expect(faults[0]).toEqual({ table: 'rows', text: `Page ${root} of table rows is not a page of a table` });
    expect(faults).toHaveLength(20);
    expect(faultCount).toBeGreaterThan(20);
  });

  it('finds entries that an index lacks, and keys that are not in order', () => {
    const { root } = trees.find(({ name }) => name === 'empty')!;
    const without = check(sound, [
      ...trees,
      { name: 'lost', table: 'rows', kind: 'index', root, isBinary: true, isPartial: false },
    ]);
    expect(without.faults.map(({ text }) => text)).toContainEqual(expect.stringMatching(/^Index lost /));
    const small = databaseOf(['CREATE TABLE t (id TEXT PRIMARY KEY)', "INSERT INTO t VALUES ('aa'), ('bb')"]);
    // The index is behind the table. quick_check does not compare the two.
    const swapped = Buffer.from(small);
    swapped.write('Aa', small.lastIndexOf('bb'));
    const { faults } = check(swapped, treesOf(small));
    expect(faults).toEqual([
      { table: 't', text: 'Page 3 of index sqlite_autoindex_t_1 has keys that are not in order' },
    ]);
    expect(findingsOf(swapped, 'integrity_check')).not.toEqual([]);
  });

  it('finds one fault in a page whose first and last row are swapped', () => {
    const schema = ['CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT)'];
    const small = databaseOf(schema, (db) => {
      const insert = db.prepare('INSERT INTO t VALUES (?, ?)');
      for (let n = 1; n <= 900; n += 1) insert.run(n * 1000, 'x'.repeat(40));
    });
    const { root } = treesOf(small).find(({ name }) => name === 't')!;
    const above = (root - 1) * pageSize;
    const leaf = small.readUInt32BE(above + small.readUInt16BE(above + 12));
    const page = (leaf - 1) * pageSize;
    const swapped = Buffer.from(small);
    const last = page + 8 + 2 * (small.readUInt16BE(page + 3) - 1);
    swapped.writeUInt16BE(small.readUInt16BE(page + 8), last);
    swapped.writeUInt16BE(small.readUInt16BE(last), page + 8);
    const { faults } = check(swapped, treesOf(small));
    expect(faults).toEqual([
      { table: 't', text: `Page ${leaf} of table t has row numbers that are not in order` },
    ]);
  });
});

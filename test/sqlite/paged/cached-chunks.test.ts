import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { ConfigurationError } from '../../../src/errors.ts';
import { emptyDatabase } from '../../../src/sqlite/empty-database.ts';
import { CachedChunks } from '../../../src/sqlite/paged/cached-chunks.ts';
import { chunkSize, PagedFile } from '../../../src/sqlite/paged/paged-file.ts';
import { SpillFile } from '../../../src/sqlite/paged/spill-file.ts';
import { loadSqlite } from '../../../src/sqlite/sqlite.ts';
import { SqliteDatabase } from '../../../src/sqlite/sqlite-database.ts';
import { openIndependently } from '../independent.ts';

const folder = mkdtempSync(join(tmpdir(), 'cached-chunks-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A stored file, and a cache in front of it. */
class World {
  stored: Buffer;
  readonly memory: Uint8Array;
  readonly loads: number[][] = [];
  readonly chunks: CachedChunks;
  readonly file: PagedFile;
  readonly spill = new SpillFile(folder);

  constructor(stored: Uint8Array, slots: number) {
    this.stored = Buffer.from(stored);
    this.memory = new Uint8Array(slots * chunkSize);
    this.chunks = new CachedChunks({
      memory: this.memory,
      storedLength: stored.length,
      spill: this.spill,
      load: (wanted) => {
        this.loads.push(wanted.map(({ index }) => index));
        for (const { index, slot } of wanted) {
          const bytes = this.stored.subarray(index * chunkSize, (index + 1) * chunkSize);
          this.memory.fill(0, slot * chunkSize, (slot + 1) * chunkSize).set(bytes, slot * chunkSize);
        }
      },
    });
    this.file = new PagedFile(this.chunks, stored.length);
  }

  /** Stores what changed, as a commit does: unchanged chunks come from the stored file. */
  commit(): void {
    const next = Buffer.alloc(this.file.length);
    this.stored.copy(next);
    for (const index of this.chunks.changed()) next.set(this.#bytes(index), index * chunkSize);
    this.stored = next;
    this.chunks.stored(next.length);
  }

  #bytes(index: number): Uint8Array {
    const length = Math.min(chunkSize, this.file.length - index * chunkSize);
    return this.chunks.get(index).subarray(0, length);
  }
}

interface FileArray {
  subarray(from: number, to: number): Uint8Array;
  set(bytes: Uint8Array, at: number): void;
}

const places = fc.nat(20 * chunkSize);
const step = fc.oneof(
  fc.record({ do: fc.constant('read' as const), at: places, length: fc.integer({ min: 1, max: 65_536 }) }),
  fc.record({ do: fc.constant('write' as const), at: places, length: fc.integer({ min: 1, max: 70_000 }) }),
  fc.record({ do: fc.constant('commit' as const) }),
);

describe('a file of which some chunks are in memory', () => {
  it('holds what was written, however few chunks it has room for', () => {
    const property = fc.property(
      fc.integer({ min: 2, max: 9 }),
      fc.array(step, { maxLength: 60 }),
      (slots, steps) => {
        const truth = Buffer.alloc(42 * chunkSize, 1);
        let length = 10 * chunkSize + 7;
        const world = new World(truth.subarray(0, length), slots);
        const array = (world.file.asArgument() as unknown as { slice(): FileArray }).slice();
        for (const [n, each] of steps.entries()) {
          if (each.do === 'commit') {
            world.commit();
            expect(world.stored.equals(truth.subarray(0, length))).toBe(true);
            continue;
          }
          // SQLite reads and writes nothing behind a gap.
          const at = Math.min(each.at, length);
          if (each.do === 'write') {
            const bytes = Buffer.alloc(each.length, n + 2);
            array.set(bytes, at);
            truth.set(bytes, at);
            length = Math.max(length, at + each.length);
            expect(world.file.length).toBe(length);
          } else {
            const to = Math.min(length, at + each.length);
            expect(Buffer.from(array.subarray(at, to)).equals(truth.subarray(at, to))).toBe(true);
          }
        }
        world.commit();
        expect(world.stored.equals(truth.subarray(0, length))).toBe(true);
        world.spill.clear();
      },
    );
    fc.assert(property, { numRuns: 60, seed: 5 });
  });

  it('leaves no file behind, also while it holds changes', () => {
    const world = new World(new Uint8Array(), 2);
    for (let index = 0; index < 5; index += 1) world.chunks.change(index).fill(index + 1);
    expect(world.chunks.places().spilled).toHaveLength(3);
    expect(readdirSync(folder)).toEqual([]);
    for (let index = 0; index < 5; index += 1) expect(world.chunks.get(index)[9]).toBe(index + 1);
    world.spill.clear();
  });

  it('names what to do where changes fit nowhere', () => {
    const spill = new SpillFile(join(folder, 'absent'));
    let fault: unknown;
    try {
      spill.write(0, new Uint8Array(chunkSize));
    } catch (error) {
      fault = error;
    }
    expect(fault).toBeInstanceOf(ConfigurationError);
    expect(fault).toMatchObject({ hint: expect.stringContaining('SYNC_CACHE_MB') });
  });

  it('loads more and more at once in a scan, and single chunks elsewhere', () => {
    const world = new World(new Uint8Array(400 * chunkSize), 256);
    for (let index = 0; index < 300; index += 1) world.chunks.get(index);
    expect(world.loads.length).toBeLessThan(18);
    expect(world.loads.flat()).toEqual(Array.from({ length: world.loads.flat().length }, (_, n) => n));
    const before = world.loads.length;
    for (const index of [399, 350, 380]) world.chunks.get(index);
    expect(world.loads.slice(before)).toEqual([[399], [350], [380]]);
  });

  it('loses no change where it cannot be written to the disk', () => {
    const world = new World(new Uint8Array(10 * chunkSize).fill(100), 3);
    const { write } = world.spill;
    for (let n = 0; n < 3; n += 1) world.chunks.change(n).fill(n);
    world.spill.write = () => {
      throw new Error('full');
    };
    expect(() => world.chunks.get(7)).toThrow('full');
    expect(() => world.chunks.bring([5, 6])).toThrow('full');
    world.spill.write = write;
    for (const n of [5, 0, 6, 1, 7, 2]) expect(world.chunks.get(n)[0]).toBe(n < 3 ? n : 100);
    world.spill.clear();
  });

  it('keeps no chunk that could not be loaded', () => {
    const world = new World(new Uint8Array(10 * chunkSize).fill(7), 4);
    const { memory } = world;
    let isBroken = true;
    const chunks = new CachedChunks({
      memory,
      storedLength: 10 * chunkSize,
      spill: world.spill,
      load: (wanted) => {
        if (isBroken) throw new Error('gone');
        for (const { slot } of wanted) memory.fill(7, slot * chunkSize, (slot + 1) * chunkSize);
      },
    });
    for (let n = 0; n < 9; n += 1) expect(() => chunks.get(n)).toThrow('gone');
    isBroken = false;
    for (let n = 0; n < 9; n += 1) expect(chunks.get(n)[0]).toBe(7);
  });
});

it('SQLite works on such a file, also beyond four gigabytes', async () => {
  const sqlite = await loadSqlite();
  const empty = emptyDatabase(sqlite.sqlJs);
  const world = new World(empty, 8);
  const db = SqliteDatabase.open(sqlite, undefined, { file: world.file });
  db.exec('CREATE TABLE t (id TEXT PRIMARY KEY, n INTEGER)');
  db.transaction(() => {
    for (let n = 0; n < 20_000; n += 1) db.run('INSERT INTO t VALUES (hex(randomblob(16)), ?)', [n]);
  });
  world.commit();
  const independent = openIndependently(world.stored);
  expect(independent.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' });
  expect(independent.prepare('SELECT count(*) AS n, sum(n) AS sum FROM t').get()).toEqual({
    n: 20_000,
    sum: 199_990_000,
  });
  independent.close();
  db.close();

  // A file of five gigabytes of which only the ends are written. SQLite counts its pages from the first one.
  const pages = (5 * 2 ** 30) / 8192;
  const head = Buffer.from(empty);
  head.writeUInt32BE(pages, 28);
  const sparse = new Map<number, Uint8Array>([[0, new Uint8Array(chunkSize)]]);
  sparse.get(0)!.set(head);
  const get = (index: number) => {
    if (!sparse.has(index)) sparse.set(index, new Uint8Array(chunkSize));
    return sparse.get(index)!;
  };
  const large = SqliteDatabase.open(sqlite, undefined, {
    maxBytes: 2 ** 33,
    file: new PagedFile({ get, change: get }, pages * 8192),
  });
  large.exec('CREATE TABLE t (a)');
  large.run('INSERT INTO t VALUES (?)', ['behind']);
  expect(large.byteLength).toBe((pages + 1) * 8192);
  expect(large.all('SELECT * FROM t')).toEqual([{ a: 'behind' }]);
  expect(Math.max(...sparse.keys())).toBe((5 * 2 ** 30) / chunkSize);
  large.close();
});

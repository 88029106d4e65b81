import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadSqlite } from '../../../src/sqlite/sqlite.ts';
import { SqliteMirror } from '../../../src/target/sqlite/sqlite-mirror.ts';
import { memoryStorage } from '../../sync/memory-storage.ts';
import {
  DiskFile,
  growTo,
  idOf,
  marked,
  mergeInto,
  randomNumbers,
  record,
  shardOf,
  tables,
} from './large-mirror.ts';

const sqlite = await loadSqlite();
const folder = mkdtempSync(join(tmpdir(), 'large-mirror-'));
const path = join(folder, 'dataverse.db');
const megabyte = 1024 * 1024;
const telemetry = { log: () => undefined, event: () => undefined, metric: () => undefined };

let file: DiskFile;
let documents: ReturnType<typeof memoryStorage>['published'];
let mirror: SqliteMirror;
let perTable = 0;

function create(more: { checkHours?: number; scanRows?: number; cacheBytes?: number } = {}): SqliteMirror {
  const limits = { maxBytes: 1e9, cacheBytes: 2 * megabyte, checkHours: 0, scanRows: 100, ...more };
  return new SqliteMirror({ sqlite, file, documents, telemetry, ...limits });
}

beforeAll(async () => {
  file = new DiskFile(path);
  documents = memoryStorage().published;
  mirror = create();
  await mergeInto(
    mirror,
    new Map(tables.map((model, t) => [model, shardOf(sqlite, model, [record(0, t, 1, 'x')])])),
  );
  await mirror.close();
  perTable = growTo(path, 80 * megabyte);
  // It was written behind the back of the mirror, as by a restore.
  file = new DiskFile(path);
  documents = memoryStorage().published;
  mirror = create();
});
afterAll(async () => {
  await mirror.close();
  rmSync(folder, { recursive: true });
});

function withFile<T>(work: (db: DatabaseSync) => T): T {
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    expect(db.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' });
    return work(db);
  } finally {
    db.close();
  }
}
const count = (db: DatabaseSync, sql: string) => Number(Object.values(db.prepare(sql).get()!)[0]);
const danglingOf = (db: DatabaseSync): Record<string, number> =>
  JSON.parse(
    String(db.prepare("SELECT value FROM _sync_meta WHERE name = 'dangling-references'").get()!['value']),
  );

describe('a mirror of which parts are in memory', () => {
  it('reads and writes a small part of the file for a hundred updates in ten tables', async () => {
    const random = randomNumbers(3);
    const changed = tables.map(() => Array.from({ length: 10 }, () => Math.floor(random() * perTable)));
    const shards = new Map(
      tables.map((model, t) => [
        model,
        shardOf(
          sqlite,
          model,
          changed[t]!.map((n) => record(n, t, 2, 'changed')),
        ),
      ]),
    );
    file.readBytes = 0;
    const { stagedBytes, bytes, rows } = await mergeInto(mirror, shards);
    // A chunk of an index and a block of the table for each row. In a file of 1 GB the same is a tenth of this share.
    expect(file.readBytes).toBeLessThan(0.55 * bytes);
    expect(stagedBytes).toBeLessThan(0.36 * bytes);
    expect([...rows.values()]).toEqual(tables.map(() => perTable));
    withFile((db) => {
      for (const [t, { name, logicalName }] of tables.entries()) {
        const expected = new Set(changed[t]!.map(idOf));
        const found = db.prepare(`SELECT ${logicalName}id AS id FROM ${name} WHERE versionnumber = 2`).all();
        expect(new Set(found.map(({ id }) => id))).toEqual(expected);
        expect(count(db, `SELECT count(*) FROM ${name} WHERE description = 'changed'`)).toBe(expected.size);
        expect(count(db, `SELECT count(*) FROM ${name}`)).toBe(perTable);
      }
    });
  });

  it('keeps the number of rows through inserts and deletes, and updates lookups with their indexes', async () => {
    const [model] = tables as [(typeof tables)[number]];
    const moved = { ...record(5, 0, 3, 'moved'), _parent_value: idOf(77) };
    const added = [record(perTable + 1, 0, 3, 'new'), record(perTable + 2, 0, 3, 'new')];
    const part = shardOf(sqlite, model, [moved, ...added], [idOf(8), idOf(9), idOf(10), 'unknown']);
    const { rows } = await mergeInto(mirror, new Map([[model, part]]));
    expect(rows.get('new_t0')).toBe(perTable + 2 - 3);
    withFile((db) => {
      expect(count(db, 'SELECT count(*) FROM new_t0s')).toBe(perTable - 1);
      const byIndex = `SELECT description FROM new_t0s WHERE _parent_value = '${idOf(77)}' AND new_t0id = '${idOf(5)}'`;
      expect(db.prepare(byIndex).all()).toEqual([{ description: 'moved' }]);
      expect(count(db, `SELECT count(*) FROM _sync_deleted WHERE table_name = 'new_t0s'`)).toBe(3);
    });
  });

  it('counts again what it kept, and checks the file, when that is due', async () => {
    const referring = tables[9]!;
    const before = withFile(danglingOf);
    // Rows of the tenth table refer to rows of the first: three of these are gone since.
    const row = record(1, 9, 4, 'again');
    await mergeInto(mirror, new Map([[referring, shardOf(sqlite, referring, [row])]]));
    expect(withFile(danglingOf)).toEqual(before);
    await mirror.close();
    mirror = create({ checkHours: 0.000_1, cacheBytes: 12 * megabyte });
    // The first one only begins to count the time.
    await mergeInto(mirror, new Map([[referring, shardOf(sqlite, referring, [record(2, 9, 4, 'again')])]]));
    expect(withFile(danglingOf)).toEqual(before);
    await mergeInto(mirror, new Map([[referring, shardOf(sqlite, referring, [record(2, 9, 5, 'again')])]]));
    withFile((db) => {
      const counts = danglingOf(db);
      for (const [t, { name }] of tables.entries()) {
        const target = tables[(t + 1) % 10]!;
        const truth = count(
          db,
          `SELECT count(*) FROM ${name} r WHERE NOT EXISTS
             (SELECT 1 FROM ${target.name} x WHERE x.${target.logicalName}id = r._parent_value)`,
        );
        expect(counts[`${name}._parent_value>${target.name}`]).toBe(truth);
      }
      expect(counts['new_t9s._parent_value>new_t0s']).toBe(3 * 7);
    });
    // It is noted before it begins, so that one that takes too long is not repeated at once.
    const noted = (await documents.read<{ at: string }>('last-check.json'))!.value.at;
    await mirror.close();
    mirror = create({ checkHours: 1000 });
    await mergeInto(mirror, new Map([[referring, shardOf(sqlite, referring, [record(3, 9, 4, 'again')])]]));
    expect((await documents.read<{ at: string }>('last-check.json'))!.value.at).toBe(noted);
  });

  it('waits for each part, however late the notification of the part before comes', async () => {
    const { notify } = Atomics;
    let late = 0;
    Atomics.notify = ((array: Int32Array<ArrayBufferLike>, index: number) => {
      const [again, count] = [() => notify(array, index), notify(array, index)];
      late += 1;
      setImmediate(again);
      setTimeout(again, 1);
      return count;
    }) as typeof notify;
    try {
      const [model] = tables as [(typeof tables)[number]];
      const random = randomNumbers(9);
      for (let version = 10; version < 14; version += 1) {
        const rows = Array.from({ length: 200 }, () =>
          record(100 + Math.floor(random() * 5_000), 0, version, 'late'),
        );
        await mirror.close();
        mirror = create();
        await mergeInto(mirror, new Map([[model, shardOf(sqlite, model, rows)]]));
      }
    } finally {
      Atomics.notify = notify;
    }
    expect(late).toBeGreaterThan(50);
    withFile((db) =>
      expect(count(db, "SELECT count(*) FROM new_t0s WHERE description = 'late'")).toBeGreaterThan(500),
    );
  });

  it('stores a file with pages that SQLite needed for a moment only', async () => {
    const [model] = tables as [(typeof tables)[number]];
    // A long text, and another lookup: the row is written twice, and the pages of its first form are given back.
    const row = { ...record(7, 0, 20, 'z'.repeat(400_000)), _parent_value: idOf(123) };
    await mergeInto(mirror, new Map([[model, shardOf(sqlite, model, [row])]]));
    await mergeInto(mirror, new Map([[model, shardOf(sqlite, model, [record(7, 0, 21, 'short')])]]));
    withFile((db) => expect(count(db, "SELECT count(*) FROM new_t0s WHERE description = 'short'")).toBe(1));
  });

  it('gives a row that comes back its lookup', async () => {
    const [read] = tables as [(typeof tables)[number]];
    const show = (version: number, parent: number) => {
      const row = { ...record(1, 0, version, `at ${version}`), _parent_value: idOf(parent) };
      return mergeInto(mirror, new Map([[marked, shardOf(sqlite, read, [row])]]));
    };
    await show(1, 5);
    await mergeInto(mirror, new Map([[marked, shardOf(sqlite, read, [], [idOf(1)])]]));
    await show(3, 6);
    withFile((db) => {
      const rows = db
        .prepare(
          'SELECT versionnumber AS version, _parent_value AS parent, _deleted_at AS deleted FROM new_markeds',
        )
        .all();
      expect(rows).toEqual([{ version: 3, parent: idOf(6), deleted: null }]);
    });
  });

  it('takes changes that have no room in memory', async () => {
    const [model] = tables as [(typeof tables)[number]];
    const many = Array.from({ length: 6_000 }, (_, n) => record(n + 100, 0, 50, 'y'.repeat(900)));
    const { rows } = await mergeInto(mirror, new Map([[model, shardOf(sqlite, model, many)]]));
    expect(rows.get('new_t0')).toBe(perTable - 1);
    withFile((db) => expect(count(db, 'SELECT count(*) FROM new_t0s WHERE versionnumber = 50')).toBe(6_000));
  });

  it('finds what merged rows lack in a filtered table, and all else when it goes through everything', async () => {
    const [referring, target] = tables as [(typeof tables)[number], (typeof tables)[number]];
    await mirror.close();
    mirror = create();
    const loaded = await mirror.loadState();
    const filtered = new Set([target.logicalName]);
    const closure = (runId: string, at: string, with_: SqliteMirror) =>
      with_.transaction({ loaded, runId, at, synced: tables, incomingBytes: 0 }, async (transaction) => {
        const lacking = { ...record(50, 0, 6, 'z'), _parent_value: 'ffffffff-0000-4000-8000-000000000000' };
        const options = { history: false, startHistory: false, massDeleteLimit: 1 };
        await transaction.mergeTable(referring, [shardOf(sqlite, referring, [lacking])], {
          ...options,
          isComplete: false,
          comparedKeys: undefined,
        });
        return transaction.findClosure([referring, target], filtered);
      });
    // Without the row that refers to it, a row of the target is not needed.
    const few = await closure('a', '2027-01-01T00:00:00Z', mirror);
    expect(few.missing.get(target.logicalName)).toEqual(['ffffffff-0000-4000-8000-000000000000']);
    expect(few.unneeded.get(target.logicalName)).toEqual([]);
    const whole = create({ scanRows: Number.POSITIVE_INFINITY });
    const all = await closure('b', '2027-01-01T00:00:00Z', whole);
    await whole.close();
    expect(all.missing.get(target.logicalName)).toEqual(few.missing.get(target.logicalName));
    expect(all.unneeded.get(target.logicalName)!.length).toBeGreaterThan(perTable / 2);
  });
});

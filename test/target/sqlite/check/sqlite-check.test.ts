import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { SkipTableError } from '../../../../src/errors.ts';
import { loadSqlite } from '../../../../src/sqlite/sqlite.ts';
import type { DatabaseFile, FilePart } from '../../../../src/storage/database/database-file.ts';
import type { CheckProgress, CheckResult } from '../../../../src/target/mirror-check.ts';
import { SqliteMirror } from '../../../../src/target/sqlite/sqlite-mirror.ts';
import { changed } from '../../../sqlite/check/sound-files.ts';
import { memoryStorage } from '../../../sync/memory-storage.ts';
import { withDatabase } from '../../../sync/truth.ts';
import { idOf, marked, mergeInto, record, shardOf, tables } from '../large-mirror.ts';

const sqlite = await loadSqlite();
const telemetry = { log: () => undefined, event: () => undefined, metric: () => undefined };
const rowCount = 900;
const name = 'dataverse.db';

let storage: ReturnType<typeof memoryStorage>;
let mirror: SqliteMirror;
/** Bytes that were read from the file. */
let readBytes: number;
/** Is called before parts of the file are read. */
let beforeRead: () => Promise<void>;

/** The file, with what was read from it counted. */
function counted(file: DatabaseFile): DatabaseFile {
  const state: DatabaseFile['state'] = (etag, length) => ({
    etag,
    length,
    read: async (parts: readonly FilePart[]) => {
      await beforeRead();
      readBytes += parts.reduce((sum, { into }) => sum + into.length, 0);
      return file.state(etag, length).read(parts);
    },
  });
  return Object.assign(Object.create(file), {
    state,
    open: async (ifNot?: string) => {
      const found = await file.open(ifNot);
      return typeof found === 'string' ? found : state(found.etag, found.length);
    },
    currentEtag: () => file.currentEtag(),
    blocks: () => file.blocks(),
    commit: (...args: Parameters<DatabaseFile['commit']>) => file.commit(...args),
  });
}

/** A new process. */
function create(): SqliteMirror {
  return new SqliteMirror({
    sqlite,
    file: counted(storage.databaseFile),
    documents: storage.published,
    telemetry,
    maxBytes: 1e9,
    cacheBytes: 400_000,
    checkHours: 0,
    scanRows: 40,
  });
}

function rowsOf(t: number, version: number, from = 0, to = rowCount): object[] {
  return Array.from({ length: to - from }, (_, n) => record(from + n, t, version, 'x'.repeat(500)));
}

/** Two tables that refer to the next one, which lacks rows. */
async function fill(): Promise<void> {
  await mergeInto(
    mirror,
    new Map([
      [tables[0]!, shardOf(sqlite, tables[0]!, rowsOf(0, 1))],
      [tables[1]!, shardOf(sqlite, tables[1]!, rowsOf(1, 1, 0, 60))],
    ]),
  );
}

/** Makes the steps of a check. Each is in a process of its own. @param between is called after each step */
async function checkAll(
  isTimeOver: () => boolean,
  between: (progress: CheckProgress) => Promise<void> = async () => undefined,
): Promise<{ result: CheckResult; steps: CheckProgress[] }> {
  const steps: CheckProgress[] = [];
  let saved: Buffer | undefined;
  const save = async (bytes: Uint8Array): Promise<void> => {
    saved = Buffer.from(bytes);
  };
  for (let progress: CheckProgress | undefined; steps.length < 500; ) {
    const process = create();
    const step = await process.checkStep(progress && JSON.parse(JSON.stringify(progress)), {
      checkpoint: { load: async () => saved, save },
      isTimeOver,
      startedAt: '2026-11-21T06:00:00.000Z',
    });
    await process.close();
    progress = step.progress;
    steps.push(progress);
    if (step.result !== undefined) return { result: step.result, steps };
    await between(progress);
  }
  throw new Error('the check does not end');
}

const file = async (): Promise<Buffer> => (await storage.published.getBytes(name))!;
const replaceFile = (bytes: Uint8Array) => storage.published.putBytes(name, bytes);
async function query(sql: string): Promise<Record<string, unknown>> {
  return withDatabase(await file(), (db) => db.prepare(sql).get()!);
}

let filled: Buffer;
beforeAll(async () => {
  storage = memoryStorage();
  beforeRead = async () => undefined;
  mirror = create();
  await fill();
  await mirror.close();
  filled = await file();
});
beforeEach(async () => {
  storage = memoryStorage();
  await replaceFile(filled);
  readBytes = 0;
  beforeRead = async () => undefined;
  mirror = create();
});
afterEach(() => mirror.close());

describe('the check of a database in parts', () => {
  it('finds nothing wrong with a sound one, and the references that a search of all finds', async () => {
    const { result, steps } = await checkAll(() => false);
    expect(steps).toHaveLength(1);
    const size = (await file()).length;
    expect(result).toMatchObject({
      database: { etag: await storage.databaseFile.currentEtag(), bytes: size },
      tables: 2,
      pages: size / 8192,
      faults: [],
      faultCount: 0,
      miscounted: [],
      uncounted: [],
    });
    // Rows 420 to 899 refer to the rows 60 to 128 of the other table.
    expect(result.danglingReferences).toBe(rowCount - 420);
    const whole = new SqliteMirror({
      ...{ sqlite, file: storage.databaseFile, documents: storage.published, telemetry },
      ...{ maxBytes: 1e9, cacheBytes: 1e9, checkHours: 0 },
    });
    const found = await whole.findDangling();
    await whole.close();
    expect(found).toMatchObject({ foreignKeys: result.foreignKeys!.map(({ examples: _, ...key }) => key) });
    expect(result.foreignKeys![0]!.examples).toHaveLength(10);
    expect(await mirror.findDangling()).toBe('large');
  });

  it('continues after each step where the one before ended, in another process', async () => {
    const whole = await checkAll(() => false);
    readBytes = 0;
    const { result, steps } = await checkAll(() => true);
    expect(result).toEqual(whole.result);
    expect(steps.filter(({ phase }) => phase === 'pages').length).toBeGreaterThan(1);
    // 400 entries of the index in each step, or what is left of the rows of one target: seven refer to each.
    const ofReferences = steps.filter(({ phase }) => phase === 'references');
    expect(ofReferences.map(({ references }) => references.done)).toEqual([0, 0, 0, 0, 0, 1, 1]);
    // No part of the file is read twice for its pages.
    const done = steps.map(({ bytes }) => bytes.done);
    expect(done).toEqual(done.toSorted((a, b) => a - b));
  });

  it('reads only what changed where runs commit meanwhile', async () => {
    let commits = 0;
    const size = (await file()).length;
    beforeRead = async () => {
      // The pages have been read: the schema is that of a later state.
      if (readBytes < size || commits > 0) return;
      commits += 1;
      const other = create();
      await mergeInto(other, new Map([[tables[1]!, shardOf(sqlite, tables[1]!, rowsOf(1, 2, 60, 70))]]));
      await other.close();
    };
    const { result, steps } = await checkAll(() => false);
    expect(commits).toBe(1);
    expect(steps.at(-1)!.catchUps).toBeGreaterThan(0);
    expect(result).toMatchObject({ faultCount: 0, miscounted: [] });
    expect(result.database.etag).toBe(await storage.databaseFile.currentEtag());
    expect(result.danglingReferences).toBe(rowCount - 490);
  });

  it('gives up where runs commit faster than it can follow', async () => {
    beforeRead = async () => {
      const bytes = await file();
      bytes[bytes.length - 1]! ^= 1;
      await replaceFile(bytes);
    };
    await expect(checkAll(() => false)).rejects.toThrow(/^Runs changed the database \d+ times/);
  });

  it('fails where there is no database', async () => {
    await storage.published.deletePrefix(name);
    await expect(checkAll(() => false)).rejects.toThrow(SkipTableError);
  });
});

describe('the check of a damaged database', () => {
  it.each([
    ['a page of a table', 'SELECT rootpage AS page FROM sqlite_master WHERE name = "new_t0s"', 'new_t0s'],
    [
      'a page of an index',
      'SELECT rootpage AS page FROM sqlite_master WHERE name LIKE "sqlite_autoindex_new_t0s%"',
      'new_t0s',
    ],
    ['the schema', 'SELECT 1 AS page', undefined],
  ])('says so: %s', async (_, sql, table) => {
    const { page } = (await query(sql.replaceAll('"', "'"))) as { page: number };
    const bytes = await file();
    await replaceFile(Buffer.from(bytes).fill(1, (page - 1) * 8192 + (page === 1 ? 100 : 0), page * 8192));
    const { result } = await checkAll(() => false);
    expect(result.faultCount).toBeGreaterThan(0);
    expect(result.faults[0]?.table).toBe(table);
    expect(result).not.toHaveProperty('danglingReferences');
  });

  it('says so of a file that is not a database', async () => {
    await replaceFile(Buffer.alloc(500_000, 'no database '));
    const { result } = await checkAll(() => false);
    expect(result.faultCount).toBeGreaterThan(0);
  });
});

describe('a row count that is wrong', () => {
  it('is found, and corrected by the next merge of the table', async () => {
    const wrong = `UPDATE _sync_state SET rows = 7, state = json_set(state, '$.rows', 7) WHERE table_name = 'new_t0s'`;
    await replaceFile(changed(await file(), wrong));
    const { result } = await checkAll(() => false);
    expect(result.miscounted).toEqual([{ table: 'new_t0', kept: 7, counted: rowCount }]);
    // The merge of another table leaves it, and takes over what was counted of references.
    const before = create();
    await mergeInto(before, new Map([[tables[1]!, shardOf(sqlite, tables[1]!, rowsOf(1, 2, 60, 61))]]));
    await before.close();
    expect(await query("SELECT rows FROM _sync_state WHERE table_name = 'new_t0s'")).toEqual({ rows: 7 });
    const merging = create();
    const shard = shardOf(sqlite, tables[0]!, rowsOf(0, 2, rowCount, rowCount + 5), [idOf(0)]);
    expect((await mergeInto(merging, new Map([[tables[0]!, shard]]))).rows.get('new_t0')).toBe(rowCount + 4);
    await merging.close();
    // It is not counted again.
    expect(await storage.published.read('checked-figures.json')).toBeUndefined();
    expect((await checkAll(() => false)).result.miscounted).toEqual([]);
  });

  it('is found of a table of which deleted rows are marked', async () => {
    const [model] = tables as [(typeof tables)[number]];
    await mergeInto(mirror, new Map([[marked, shardOf(sqlite, model, rowsOf(0, 1))]]));
    const deletes = shardOf(sqlite, model, [], [idOf(5), idOf(6)]);
    const { rows } = await mergeInto(mirror, new Map([[marked, deletes]]));
    await replaceFile(
      changed(
        await file(),
        "UPDATE _sync_meta SET value = json_set(value, '$.configured', json_array('new_t0', 'new_marked')) WHERE name = 'catalog'",
      ),
    );
    expect((await checkAll(() => false)).result).toMatchObject({ miscounted: [], uncounted: [] });
    const counted = rows.get('new_marked')!;
    expect(counted).toBe(rowCount - 2);
    await replaceFile(
      changed(
        await file(),
        "UPDATE _sync_state SET state = json_set(state, '$.rows', 1) WHERE table_name = 'new_markeds'",
      ),
    );
    const { result } = await checkAll(() => false);
    expect(result.miscounted).toEqual([{ table: 'new_marked', kept: 1, counted }]);
  });
});

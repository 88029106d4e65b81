import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RetriableError } from '../../../src/errors.ts';
import { loadSqlite } from '../../../src/sqlite/sqlite.ts';
import { MirrorDatabase } from '../../../src/target/sqlite/database/mirror-database.ts';
import type { OpenDatabase } from '../../../src/target/sqlite/database/open-database.ts';
import type { Work } from '../../../src/target/sqlite/database-work.ts';
import { emptyState, type SyncLogRow } from '../../../src/target/state.ts';
import { openIndependently } from '../../sqlite/independent.ts';
import { loadFile } from '../../storage/whole-file.ts';
import { memoryStorage } from '../../sync/memory-storage.ts';

const sqlite = await loadSqlite();

describe.each([
  ['as a whole', 100_000_000],
  // Not even an empty one fits.
  ['in parts', -1],
])('a database in memory %s', (_, cacheBytes) => {
  let file: ReturnType<typeof memoryStorage>['databaseFile'];
  const databases: MirrorDatabase[] = [];
  let database: MirrorDatabase;
  /** What each opening returned. */
  let opened: string[];

  const create = () => {
    const created = new MirrorDatabase({ file, sqlite, maxBytes: 100_000_000, cacheBytes });
    databases.push(created);
    return created;
  };

  beforeEach(() => {
    file = memoryStorage().databaseFile;
    database = create();
    opened = [];
    const open = file.open.bind(file);
    file.open = async (ifNot) => {
      const stored = await open(ifNot);
      opened.push(typeof stored === 'string' ? stored : 'stored');
      return stored;
    };
  });
  afterEach(async () => {
    for (const each of databases.splice(0)) await each.close();
  });

  const context = { runId: 'r', at: '2026-01-01T00:00:00Z', synced: [], isDeep: true };
  const row = (runId: string) =>
    ({ ...figures, runId, round: 1, name: '*', state: 'merged', strategy: '*' }) as SyncLogRow;
  async function change({ work }: { work: Work }, value: number): Promise<Work> {
    const { state } = await work.begin(context, undefined);
    await work.finish(state, [row(String(value))], { value });
    return work;
  }
  const insert = (value: number, into = database) =>
    into.change(async (open) => {
      const work = await change(open, value);
      await open.store();
      return work;
    });
  /** The outcome that was stored last. */
  const read = async ({ work }: OpenDatabase) => (await work.begin(context, emptyState())).lastOutcome;
  const isClosed = async (work: Work) => {
    await expect(work.readState()).rejects.toThrow(/closed/);
  };
  async function runs(): Promise<string[]> {
    const loaded = await loadFile(file);
    if (typeof loaded === 'string') throw new Error(loaded);
    const independent = openIndependently(loaded.bytes);
    const rows = independent.prepare('SELECT run_id FROM _sync_log ORDER BY rowid').all();
    expect(independent.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' });
    independent.close();
    return rows.map((each) => String(each['run_id']));
  }

  it('is opened again only if another writer has changed it', async () => {
    const first = await insert(1);
    expect(await insert(2)).toBe(first);
    expect(await database.read(read)).toEqual({ value: 2 });
    expect(opened.filter((each) => each === 'stored').length).toBeLessThanOrEqual(2);
    await insert(3, create());
    expect(await database.read(read)).toEqual({ value: 3 });
    await isClosed(first);
    expect(await runs()).toEqual(['1', '2', '3']);
  });

  it('is not read where there is none', async () => {
    expect(await database.read(read)).toBeUndefined();
  });

  it('is closed if its change fails or is not stored', async () => {
    await insert(1);
    const works: Work[] = [];
    await database.change(async (open) => void works.push(await change(open, 2)));
    await expect(
      database.change(async (open) => {
        works.push(await change(open, 3));
        throw new Error('failed');
      }),
    ).rejects.toThrow('failed');
    await expect(
      database.read(async ({ work }) => {
        works.push(work);
        throw new Error('failed, too');
      }),
    ).rejects.toThrow('failed, too');
    for (const work of works) await isClosed(work);
    expect(await database.read(read)).toEqual({ value: 1 });
    expect(await runs()).toEqual(['1']);
  });

  it('is closed if its commit fails', async () => {
    const { commit } = file;
    let failed: Work | undefined;
    file.commit = async () => {
      throw new RetriableError('busy');
    };
    await expect(
      database.change(async (open) => {
        failed = await change(open, 1);
        await open.store();
      }),
    ).rejects.toThrow('busy');
    await isClosed(failed!);
    file.commit = commit;
    await insert(2);
    expect(await runs()).toEqual(['2']);
  });

  it('is not lost where the file cannot be opened', async () => {
    const first = await insert(1);
    const { open: works } = file;
    file.open = async () => {
      throw new RetriableError('busy');
    };
    for (let tries = 0; tries < 2; tries++) await expect(database.read(read)).rejects.toThrow('busy');
    await expect(insert(2)).rejects.toThrow('busy');
    file.open = works;
    expect(await database.read(async ({ work }) => work)).toBe(first);
  });

  it('is one where two use it at once', async () => {
    await insert(1);
    const use = database.read(async ({ work }) => work);
    const works = await Promise.all([insert(2), use, insert(3)].map((one) => one.catch(() => undefined)));
    const states = await Promise.allSettled([...new Set(works)].map((work) => work?.readState()));
    expect(
      states.filter(({ status, ...rest }) => status === 'fulfilled' && 'value' in rest && rest.value),
    ).toHaveLength(1);
  });

  it('is opened in parts once what is to be merged has no room beside it', async () => {
    await insert(1);
    const sizes: boolean[] = [];
    for (const incoming of [0, 1e9, 0]) {
      await database.change(async ({ isSmall, keep, work }) => {
        sizes.push(isSmall);
        expect((await work.begin(context, emptyState())).lastOutcome).toEqual({ value: 1 });
        keep();
      }, incoming);
    }
    const isSmall = cacheBytes > 0;
    // What is open in parts stays so.
    expect(sizes).toEqual([isSmall, false, false]);
  });

  it('answers calls one after the other', async () => {
    await insert(1);
    await database.read(async ({ work }) => {
      const states = await Promise.all([work.readState(), work.findDangling(), work.readState()]);
      expect(states[0]).toEqual(states[2]);
    });
  });

  it('takes text and errors as they are', async () => {
    const error = await database
      .change(async ({ work }) => {
        await work.begin(context, undefined);
        await work.contentDigest({
          name: 'absent',
          primaryKey: 'a',
          versionColumn: 'b',
          columns: [],
        } as never);
      })
      .catch((fault: unknown) => fault);
    expect(error).toMatchObject({ name: 'SyncError', message: expect.stringContaining('no such table') });
  });
});

const figures = {
  startedAt: '2026-01-01T00:00:00Z',
  finishedAt: '2026-01-01T00:00:00Z',
  rowsRead: 0,
  pages: 0,
  requests: 0,
  retries: 0,
  bytes: 0,
  seconds: 0,
  added: 0,
  updated: 0,
  deleted: 0,
  unchanged: 0,
};

import { afterEach, describe, expect, it } from 'vitest';
import { loadSqlite } from '../../../src/sqlite/sqlite.ts';
import { SqliteDatabase } from '../../../src/sqlite/sqlite-database.ts';
import { logRows } from '../../../src/sync/round/round-merge.ts';
import { createBookkeeping, prune, writeLog } from '../../../src/target/sqlite/tables/bookkeeping.ts';
import { emptyState, withPendingLog } from '../../../src/target/state.ts';
import { isLong } from '../../long.ts';
import { Organisation } from '../organisation.ts';

let org: Organisation | undefined;
afterEach(() => org?.stop());

const quarterHour = 900_000;
/** Nothing but deleted ids grows after the first month. */
const days = isLong ? 365 : 54;
const period = days * 86_400_000;
const begin = Date.parse('2026-01-01T00:00:00Z');

/** What a run says about its tables, 50 unless `tables` names those of a narrow run, of which some changed or failed. */
function logOf(time: number, options: { changed: number; failed: number; tables?: string[] }) {
  const figures = { rowsRead: 1, pages: 1, requests: 1, retries: 0, bytes: 350, seconds: 0.123456789 };
  const at = new Date(time).toISOString();
  const { tables = Array.from({ length: 50 }, (_, n) => `new_some_table_${n}`) } = options;
  const reports = tables.map((name, n) => ({
    ...{ name, strategy: 'delta', reason: 'change tracking is on', state: 'merged' },
    ...figures,
    ...{ added: 0, updated: n < options.changed ? 1 : 0, deleted: 0, unchanged: 12_345 },
    ...(n >= tables.length - options.failed
      ? { error: 'Dataverse rejected the request.', hint: 'Grant it.' }
      : {}),
  }));
  const runId = `${at.replace(/[-:.]/g, '')}-1a2b3c4d${options.tables ? '-tables' : ''}`;
  const narrow = options.tables && { tables: options.tables, withFiles: [], closureOpen: false };
  const plan = { runId, round: 1, createdAt: at, narrow } as Parameters<typeof logRows>[0];
  return logRows(plan, reports as Parameters<typeof logRows>[1], at);
}

describe(`${days} days of runs every 15 minutes with 50 tables`, () => {
  it('leaves less than 10 MB in the database', async () => {
    const db = SqliteDatabase.open(await loadSqlite());
    createBookkeeping(db);
    for (let time = begin; time < begin + period; time += quarterHour) {
      db.transaction(() => {
        for (const row of logOf(time, { changed: 3, failed: 1 })) writeLog(db, row);
        const at = new Date(time).toISOString();
        db.run('INSERT INTO _sync_deleted VALUES (?, ?, ?, ?)', ['accounts', `id ${time}`, at, 'run']);
        db.run('INSERT INTO _sync_schema_changes VALUES (?, ?, ?, NULL, ?, ?)', [at, 'run', 't', 'c', 'd']);
        prune(db, at);
      });
    }
    expect(db.byteLength).toBeLessThan(isLong ? 10_000_000 : 6_000_000);
    const rows = db.get<{ n: number; first: string }>(
      'SELECT count(*) AS n, min(finished_at) AS first FROM _sync_log',
    )!;
    expect(rows.n).toBeGreaterThan(10_000);
    expect(Date.parse(rows.first)).toBeGreaterThan(begin + period - 31 * 86_400_000);
    expect(db.get('SELECT count(*) AS n FROM _sync_schema_changes')).toEqual({ n: 5000 });
    expect(db.get('SELECT count(*) AS n FROM _sync_deleted')).toEqual({ n: period / quarterHour });
    db.close();
  });

  it('leaves a small state if nothing changes', () => {
    let state = emptyState();
    for (let time = begin; time < begin + period; time += quarterHour) {
      state = withPendingLog(state, logOf(time, { changed: 0, failed: 1 }));
    }
    expect(JSON.stringify(state).length).toBeLessThan(20_000);
    expect(state.pendingLog.at(-1)).toMatchObject({ name: '*', runs: 96, requests: 96 * 49 });
  });
});

describe('many narrow runs', () => {
  it('displace no rows of runs of all tables from the log', async () => {
    const db = SqliteDatabase.open(await loadSqlite());
    createBookkeeping(db);
    const write = (time: number, options: Parameters<typeof logOf>[1]) =>
      db.transaction(() => {
        for (const row of logOf(time, options)) writeLog(db, row);
        prune(db, new Date(time).toISOString());
      });
    const narrow = { changed: 1, failed: 0, tables: ['account'] };
    let time = begin;
    write(time, { changed: 3, failed: 1 });
    for (let n = 0; n < 5_100; n++) {
      time += 1_000;
      write(time, narrow);
    }
    write(time, { changed: 3, failed: 1 });
    const count = (where: string) =>
      db.get<{ n: number }>(`SELECT count(*) AS n FROM _sync_log WHERE ${where}`)!.n;
    expect([count("run_id LIKE '%-tables'"), count("run_id NOT LIKE '%-tables'")]).toEqual([5_000, 10]);
    // A month later, none is left.
    write(time + 31 * 86_400_000, narrow);
    expect(count('true')).toBe(1);
    db.close();
  });

  it('displace no error from the rows that wait for a commit', () => {
    const names = ['account', 'contact', 'lead', 'task', 'email', 'phonecall'];
    let state = withPendingLog(emptyState(), logOf(begin, { changed: 0, failed: 1 }));
    for (let subset = 1; subset < 64; subset++) {
      const tables = names.filter((_, n) => (subset >> n) % 2 === 1);
      state = withPendingLog(state, logOf(begin + subset * 1_000, { changed: 0, failed: 0, tables }));
    }
    expect(state.pendingLog.length).toBeLessThanOrEqual(40);
    expect(state.pendingLog.filter(({ error }) => error !== undefined)).toHaveLength(1);
    expect(state.pendingLog.filter(({ isNarrow, name }) => !isNarrow && name === '*')).toHaveLength(1);
  });
});

describe('idle runs', () => {
  it('write a small state, and the next commit writes one row of the log for a day of them', async () => {
    org = await Organisation.start(['account', 'contact', 'lead', 'new_shipmentline', 'systemuser'], {
      rows: 300,
    });
    const { published } = org.harness.services;
    await org.sync();
    let written = 0;
    const replace = published.replaceIfUnchanged.bind(published);
    published.replaceIfUnchanged = (name, value, etag) => {
      written = JSON.stringify(value).length;
      return replace(name, value, etag);
    };
    for (let run = 0; run < 4; run++) await org.expectIdle();
    // Five tables: 50 of them stay below 20 kB.
    expect(written).toBeGreaterThan(0);
    expect(written).toBeLessThan(4_000);
    org.store.create('account', {});
    await org.sync();
    expect(
      await org.query(
        "SELECT entity, reason, requests > 8 AS many FROM _sync_log WHERE reason LIKE '%4 runs%'",
      ),
    ).toEqual([{ entity: '*', reason: '5 tables without changes (4 runs)', many: 1 }]);
    expect(await org.query('SELECT entity, added FROM _sync_log ORDER BY rowid DESC LIMIT 2')).toEqual([
      { entity: '*', added: 0 },
      { entity: 'account', added: 1 },
    ]);
  });
});

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadSqlite } from '../../src/sqlite/sqlite.ts';
import {
  DiskFile,
  growTo,
  mergeInto,
  openLarge,
  record,
  shardOf,
  tables,
} from '../target/sqlite/large-mirror.ts';
import { type Measurement, measure } from './measure.ts';

const cacheMegabytes = 512;

/** What `large-merge.ts` prints of one merge. */
interface Merge {
  seconds: number;
  cpuSeconds: number;
  bytes: number;
  readBytes: number;
  stagedBytes: number;
  requests: number;
}

/**
 * Prints what 100 updates cost in mirrors of these sizes, with a cold and a warm instance, and how the time of a row
 * changes with their number, and what a check of all costs. The mirrors are files on the local disk: requests are counted, their time is not.
 */
export async function benchLarge(sizes: readonly number[]): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-large-'));
  try {
    const rows: object[] = [];
    const checks: object[] = [];
    for (const megabytes of sizes) {
      const path = join(folder, `${megabytes}.db`);
      await create(path);
      const perTable = growTo(path, megabytes * 1e6);
      const args = [path, perTable, cacheMegabytes].map(String);
      const run = await measure(join(import.meta.dirname, 'large-merge.ts'), args);
      const { cold, warm } = run.result as unknown as Record<'cold' | 'warm', Merge>;
      rows.push(line(`${megabytes} MB, cold`, cold, run), line(`${megabytes} MB, warm`, warm, run));
      checks.push(await check(path, megabytes));
      rmSync(path);
    }
    console.table(rows);
    console.table(checks);
    const loads: object[] = [];
    let first = 0;
    for (const count of [10_000, 100_000, 1_600_000]) {
      const path = join(folder, 'rows.db');
      const args = [path, count, cacheMegabytes].map(String);
      const run = await measure(join(import.meta.dirname, 'many-rows.ts'), args);
      const microseconds = (Number(run.result['seconds']) / count) * 1e6;
      first ||= microseconds;
      loads.push({
        '': `${count.toLocaleString('en')} narrow rows`,
        'wall s': Number(run.result['seconds']).toFixed(2),
        'µs per row': microseconds.toFixed(1),
        'of the first': (microseconds / first).toFixed(2),
        database: `${(Number(run.result['bytes']) / 1e6).toFixed(0)} MB`,
        'peak memory': `${(run.peakBytes / 1e6).toFixed(0)} MB`,
      });
      rmSync(path);
    }
    console.table(loads);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Checks all of a mirror, with the memory of a small instance. */
async function check(path: string, megabytes: number): Promise<object> {
  const run = await measure(join(import.meta.dirname, 'large-check.ts'), [path, '64']);
  const { pagesSeconds, cpuSeconds, wallSeconds, reads, faultCount } = run.result;
  return {
    check: `${megabytes} MB`,
    'CPU s, pages': Number(pagesSeconds).toFixed(1),
    'CPU s': Number(cpuSeconds).toFixed(1),
    'wall s': Number(wallSeconds).toFixed(1),
    reads: Number(reads),
    faults: Number(faultCount),
    'peak memory': `${(run.peakBytes / 1e6).toFixed(0)} MB`,
  };
}

/** A mirror with one row in each table. */
async function create(path: string): Promise<void> {
  const sqlite = await loadSqlite();
  const mirror = openLarge(sqlite, new DiskFile(path), 1e9);
  await mergeInto(
    mirror,
    new Map(tables.map((model, t) => [model, shardOf(sqlite, model, [record(0, t, 1, 'first')])])),
  );
  await mirror.close();
}

function line(name: string, merge: Merge, run: Measurement): object {
  const part = (bytes: number) =>
    `${(bytes / 1e6).toFixed(1)} MB (${((100 * bytes) / merge.bytes).toFixed(1)} %)`;
  return {
    '100 updates in ten tables': name,
    'wall s': merge.seconds.toFixed(2),
    'CPU s': merge.cpuSeconds.toFixed(2),
    read: part(merge.readBytes),
    written: part(merge.stagedBytes),
    requests: merge.requests,
    'peak memory': `${(run.peakBytes / 1e6).toFixed(0)} MB`,
  };
}

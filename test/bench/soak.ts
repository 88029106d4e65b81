/**
 * `npm run soak`: 1,000 runs in one process, a third of them with faults, and the memory after each fifty. The storage
 * is in memory, and its content is subtracted. Exits with status 1 if the memory grows.
 *
 *   npm run soak -- [--runs N] [--rows N] [--seed N]
 */
import { parseArgs } from 'node:util';
import { RetriableError } from '../../src/errors.ts';
import { startSampleDataverse } from '../../src/local/sample-dataverse/index.ts';
import type { DatabaseFile, FilePart, StoredFile } from '../../src/storage/database/database-file.ts';
import { runStatus, syncStatus } from '../../src/sync/run/run-status.ts';
import { verify } from '../../src/sync/run/verify.ts';
import { loadFile } from '../storage/whole-file.ts';
import { Harness } from '../sync/harness.ts';

const { values } = parseArgs({
  options: { runs: { type: 'string' }, rows: { type: 'string' }, seed: { type: 'string' } },
});
const runs = Number(values.runs ?? 1000);
const rows = Number(values.rows ?? 2000);
const every = Math.max(1, Math.floor(runs / 20));
/** Growth from the second to the last fifth that does not count as a leak, in bytes. */
const tolerance = 8_000_000;

let state = Number(values.seed ?? 1);
/** A pseudo-random number from 0 to 1 (Lehmer), so that a soak can be repeated. */
function random(): number {
  state = (state * 48_271) % 2_147_483_647;
  return state / 2_147_483_647;
}
const chance = (probability: number): boolean => random() < probability;

const tables = ['account', 'contact', 'lead', 'new_shipmentline'];
const dataverse = await startSampleDataverse({
  rows,
  tables: [...tables, 'systemuser', 'team', 'businessunit'],
});
const harness = await Harness.create({
  dataverseUrl: dataverse.url,
  entities: [...tables, { name: 'systemuser', filtered: true }],
  settings: { DATAVERSE_PAGE_SIZE: '200' },
});
harness.log.push = () => 0;
const { databaseFile, work } = harness.storage;
const counts = { open: 0, damaged: 0, commit: 0, read: 0, dataverse: 0, failed: 0 };
let hasFaults = false;

function damaged(stored: StoredFile): StoredFile {
  const read = async (parts: readonly FilePart[]): Promise<void> => {
    await stored.read(parts);
    for (const { at, into } of parts) into.fill(0, Math.max(0, 4096 - at));
  };
  return { ...stored, read };
}

/** Some calls fail before they do anything, some after. */
function breakSometimes(name: 'open' | 'commit'): void {
  const real = databaseFile[name].bind(databaseFile) as (...args: unknown[]) => Promise<unknown>;
  const broken = async (...args: unknown[]): Promise<unknown> => {
    const fails = hasFaults && chance(0.3);
    if (fails) counts[name] += 1;
    if (fails && chance(0.5)) throw new RetriableError(`The ${name} failed.`);
    const result = await real(...args);
    if (fails) throw new RetriableError(`The answer to the ${name} was lost.`);
    if (name === 'open' && hasFaults && typeof result === 'object' && chance(0.2)) {
      // Queries fail: the pages behind the first one are gone.
      counts.damaged += 1;
      return damaged(result as StoredFile);
    }
    return result;
  };
  (databaseFile as unknown as Record<keyof DatabaseFile, unknown>)[name] = broken;
}
breakSometimes('open');
breakSometimes('commit');
// Another instance may have written the shard. Then it must be downloaded.
const { shards } = harness.services;
const cached = shards.get.bind(shards);
shards.get = (name) => (hasFaults && chance(0.3) ? undefined : cached(name));
const getBytes = work.getBytes.bind(work);
work.getBytes = async (name) => {
  if (!hasFaults || !chance(0.3)) return getBytes(name);
  counts.read += 1;
  throw new RetriableError('The read failed.');
};

function changeRows(): void {
  for (const table of tables) {
    const ids = [...dataverse.store.truth(table).keys()];
    for (let n = 0; n < 3; n++) {
      const id = ids[Math.floor(random() * ids.length)]!;
      dataverse.store.update(table, id, {});
    }
  }
}

async function storedBytes(): Promise<number> {
  let bytes = 0;
  for (const store of [work, harness.storage.published]) {
    for await (const { name } of store.list('')) {
      bytes += name === 'dataverse.db' ? 0 : ((await getBytesOf(store, name))?.length ?? 0);
    }
  }
  const loaded = await loadFile(databaseFile);
  return bytes + (typeof loaded === 'string' ? 0 : loaded.bytes.length);
}
const getBytesOf = (store: typeof work, name: string) =>
  store === work ? getBytes(name) : store.getBytes(name);

interface Sample {
  run: number;
  heap: number;
  buffers: number;
  /** Memory outside of the heap and of buffers: above all SQLite's own, which never shrinks. */
  wasm: number;
  rss: number;
  stored: number;
  database: number;
}
const samples: Sample[] = [];

async function sample(run: number): Promise<void> {
  hasFaults = false;
  const stored = await storedBytes();
  const loaded = await loadFile(databaseFile);
  const database = typeof loaded === 'string' ? 0 : loaded.bytes.length;
  for (let n = 0; n < 3; n++) {
    await new Promise((done) => setImmediate(done));
    globalThis.gc!();
  }
  const { heapUsed: heap, arrayBuffers: buffers, external, rss } = process.memoryUsage();
  const wasm = external - buffers;
  samples.push({ run, heap, buffers, wasm, rss, stored, database });
  const mb = (bytes: number): string => `${(bytes / 1e6).toFixed(1).padStart(7)} MB`;
  console.log(
    `${String(run).padStart(5)} runs  heap ${mb(heap)}  buffers ${mb(buffers)}  SQLite ${mb(wasm)}  rss ${mb(rss)}  ` +
      `storage ${mb(stored)}  database ${mb(database)}`,
  );
}

const began = performance.now();
for (let run = 1; run <= runs; run++) {
  hasFaults = run % 3 === 0;
  if (hasFaults) {
    counts.dataverse += 1;
    dataverse.faults.add({ kind: '503', retryAfter: 0, times: 2 });
  }
  if (chance(0.7)) changeRows();
  const { runId } = await harness.start({ resume: true });
  await harness.drain();
  const status = await runStatus(harness.services, runId);
  if (status?.phase !== 'complete' || status.totals.failed > 0) counts.failed += 1;
  await syncStatus(harness.services);
  await verify(harness.services).catch((error: unknown) => {
    if (!hasFaults) throw error;
  });
  dataverse.faults.clear();
  if (run % every === 0) await sample(run);
}

const seconds = (performance.now() - began) / 1000;
console.log(`${runs} runs in ${seconds.toFixed(0)} s; faults and failed runs: ${JSON.stringify(counts)}`);

/** What the process holds beside the storage of the test. The database that the app keeps open counts. */
const held = ({ heap, buffers, wasm, stored, database }: Sample): number =>
  heap + buffers + wasm - stored - database;
const mean = (some: Sample[]): number => some.reduce((sum, one) => sum + held(one), 0) / some.length;
const fifth = Math.floor(samples.length / 5);
const growth = mean(samples.slice(-fifth)) - mean(samples.slice(fifth, 2 * fifth));
console.log(`Growth from the second to the last fifth: ${(growth / 1e6).toFixed(1)} MB`);
await dataverse.stop();
if (growth > tolerance) console.error('The memory grows.');
process.exit(growth > tolerance ? 1 : 0);

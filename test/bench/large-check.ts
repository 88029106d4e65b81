/**
 * Checks a large mirror on disk, in steps of as many seconds as the app takes. Run by large.ts, in a process of its own.
 *
 *   node test/bench/large-check.ts FILE CACHE_MB
 */
import { loadSqlite } from '../../src/sqlite/sqlite.ts';
import type { CheckProgress } from '../../src/target/mirror-check.ts';
import { DiskFile, openLarge } from '../target/sqlite/large-mirror.ts';

const [path = '', cache = '64'] = process.argv.slice(2);
const stepMilliseconds = 120_000;
const file = new DiskFile(path);
const mirror = openLarge(await loadSqlite(), file, Number(cache) * 1024 ** 2);

const { length } = (await file.blocks())!;
let saved: Buffer | undefined;
const save = async (bytes: Uint8Array): Promise<void> => {
  saved = Buffer.from(bytes);
};
const seconds = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};
let [steps, pagesSeconds] = [0, 0];
for (let progress: CheckProgress | undefined; ; ) {
  const isPages = progress === undefined;
  const until = performance.now() + stepMilliseconds;
  // The pages in a step of their own, so that their time is known.
  const isTimeOver = () => (isPages ? file.readBytes >= length : performance.now() >= until);
  const step = await mirror.checkStep(progress, {
    checkpoint: { load: async () => saved, save },
    isTimeOver,
    startedAt: new Date().toISOString(),
  });
  steps += 1;
  if (isPages) pagesSeconds = seconds();
  progress = step.progress;
  if (step.result === undefined) continue;
  const { database, faultCount, miscounted, danglingReferences } = step.result;
  const found = { bytes: database.bytes, faultCount, miscounted: miscounted.length, danglingReferences };
  const figures = { steps, pagesSeconds, cpuSeconds: seconds(), wallSeconds: performance.now() / 1000 };
  console.log(JSON.stringify({ ...found, ...figures, readBytes: file.readBytes, reads: file.reads }));
  break;
}
await mirror.close();

/**
 * Merges 100 updates at random into the ten tables of a large mirror on disk: with an instance that has just started, then
 * again with the same one. Run by bench.ts, in a process of its own.
 *
 *   node test/bench/large-merge.ts FILE ROWS_PER_TABLE CACHE_MB
 */
import { loadSqlite } from '../../src/sqlite/sqlite.ts';
import {
  DiskFile,
  mergeInto,
  openLarge,
  randomNumbers,
  record,
  shardOf,
  tables,
} from '../target/sqlite/large-mirror.ts';

const [path = '', rows = '0', cache = '512'] = process.argv.slice(2);
const sqlite = await loadSqlite();
const file = new DiskFile(path);
const mirror = openLarge(sqlite, file, Number(cache) * 1024 ** 2);
const random = randomNumbers(process.pid);

async function merge() {
  const version = Date.now();
  const shards = new Map(
    tables.map((model, t) => {
      const changed = Array.from({ length: 10 }, () => Math.floor(random() * Number(rows)));
      return [
        model,
        shardOf(
          sqlite,
          model,
          changed.map((n) => record(n, t, version, 'changed')),
        ),
      ];
    }),
  );
  file.readBytes = 0;
  file.reads = 0;
  const cpu = process.cpuUsage();
  const began = performance.now();
  const { bytes, stagedBytes, stagedBlocks } = await mergeInto(mirror, shards);
  const { user, system } = process.cpuUsage(cpu);
  return {
    seconds: (performance.now() - began) / 1000,
    cpuSeconds: (user + system) / 1e6,
    bytes,
    readBytes: file.readBytes,
    stagedBytes,
    // Each range and each block is one; the properties, the block list and the commit are three more.
    requests: file.reads + stagedBlocks + 3,
  };
}

console.log(JSON.stringify({ cold: await merge(), warm: await merge() }));
await mirror.close();

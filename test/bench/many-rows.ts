/**
 * Loads narrow rows into a new mirror on disk, in one commit, as a first sync does after it has fetched them: shards from
 * JSON, the merge, the commit. Run by bench.ts, in a process of its own.
 *
 *   node test/bench/many-rows.ts FILE ROWS CACHE_MB
 */
import { loadSqlite } from '../../src/sqlite/sqlite.ts';
import { DiskFile, idOf, loadInto, openLarge, shardOf, tables } from '../target/sqlite/large-mirror.ts';

const [path = '', rows = '0', cache = '512'] = process.argv.slice(2);
const perShard = 25_000;
const sqlite = await loadSqlite();
const file = new DiskFile(path);
const mirror = openLarge(sqlite, file, Number(cache) * 1024 ** 2);
const [model] = tables as [(typeof tables)[number]];

/** The time to make the rows is not counted. */
let making = 0;
const shards = Array.from({ length: Math.ceil(Number(rows) / perShard) }, (_, n) => ({
  isFinal: true,
  async read() {
    const began = performance.now();
    const count = Math.min(perShard, Number(rows) - n * perShard);
    const records = Array.from({ length: count }, (_, k) => {
      const row = n * perShard + k;
      return {
        '@odata.etag': `W/"${row}"`,
        new_t0id: idOf(row),
        name: `row ${row}`,
        amount: row / 3,
        description: null,
        _parent_value: idOf(row >> 3),
        versionnumber: row,
      };
    });
    making += performance.now() - began;
    return shardOf(sqlite, model, records).read();
  },
}));
const began = performance.now();
const { bytes, stagedBytes } = await loadInto(mirror, model, shards, Number(rows) * 150);
const seconds = (performance.now() - began - making) / 1000;
console.log(JSON.stringify({ seconds, bytes, stagedBytes, rows: Number(rows) }));
await mirror.close();

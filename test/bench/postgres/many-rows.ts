/**
 * Loads narrow rows into a new mirror in PostgreSQL in one commit, as a first sync does after it has fetched them, and into a
 * plain table by a client that has the text of `COPY` ready. Run by bench.ts, in a process of its own.
 *
 *   node test/bench/postgres/many-rows.ts ROWS
 */
import { pipeline } from 'node:stream/promises';
import { from } from 'pg-copy-streams';
import { postgresAddress } from '../../../src/config/postgres/postgres-address.ts';
import { loadSqlite } from '../../../src/sqlite/sqlite.ts';
import { PostgresMirror } from '../../../src/target/postgres/postgres-mirror.ts';
import { postgresType } from '../../../src/target/postgres/schema/column-types.ts';
import { addressIn, withClient } from '../../postgres.ts';
import { startOwnPostgres } from '../../shared-postgres.ts';
import { idOf, tables } from '../../target/sqlite/large-mirror.ts';
import { processorSeconds } from './processor-time.ts';
import { copyText, type Row, shardOf } from './rows.ts';

const rows = Number(process.argv[2] ?? 10_000);
const perShard = 25_000;
const sqlite = await loadSqlite();
const table = { ...tables[0]!, foreignKeys: [] };
const server = await startOwnPostgres();
const address = addressIn(server.folder);

const sampleOf = (name: string, n: number): Row[number] =>
  ({
    new_t0id: idOf(n),
    name: `row ${n}`,
    amount: n / 3,
    description: null,
    _parent_value: idOf(n >> 3),
    versionnumber: n,
  })[name] ?? null;
const part = (at: number): Row[] =>
  Array.from({ length: Math.min(perShard, rows - at) }, (_, n) =>
    table.columns.map(({ name }) => sampleOf(name, at + n)),
  );
const starts = Array.from({ length: Math.ceil(rows / perShard) }, (_, n) => n * perShard);
const shards = starts.map((at) => shardOf(sqlite, table, part(at)));

async function measured(work: () => Promise<unknown>): Promise<{ seconds: number; processor: number }> {
  const before = processorSeconds(server.folder);
  const began = performance.now();
  await work();
  const seconds = (performance.now() - began) / 1000;
  return { seconds, processor: processorSeconds(server.folder) - before };
}

const names = table.columns.map(({ name }) => `"${name}"`).join();
const floor = await withClient(address, async (client) => {
  const columns = table.columns.map((column) => `"${column.name}" ${postgresType(column)}`);
  await client.query(
    `CREATE SCHEMA plain; CREATE TABLE plain.rows (${columns}, PRIMARY KEY ("${table.primaryKey}"))`,
  );
  /** The time to make the text is not counted. */
  const texts = starts.map((at) => copyText(part(at)));
  return measured(async () => {
    await client.query('BEGIN; CREATE TEMP TABLE staged (LIKE plain.rows) ON COMMIT DROP');
    await pipeline(texts.flat(), client.query(from(`COPY staged (${names}) FROM STDIN`)));
    await client.query(
      `INSERT INTO plain.rows (${names}) SELECT ${names} FROM staged ON CONFLICT ("${table.primaryKey}") DO NOTHING`,
    );
    await client.query('COMMIT');
  });
});

const mirror = new PostgresMirror({ sqlite, connection: { ...postgresAddress(address), schema: 'mirror' } });
const at = '2026-11-27T00:00:00.000Z';
const options = { loaded: await mirror.loadState(), runId: 'run-1', at, synced: [table], incomingBytes: 0 };
const parts = shards.map((bytes) => ({ read: async () => new Uint8Array(bytes), isFinal: true }));
const merge = await measured(() =>
  mirror.transaction(options, async (transaction) => {
    const merged = await transaction.mergeTable(table, parts, {
      ...{
        history: false,
        startHistory: false,
        massDeleteLimit: 1,
        isComplete: true,
        comparedKeys: undefined,
      },
    });
    if (merged.added !== rows) throw new Error(JSON.stringify(merged));
    transaction.state.entities[table.logicalName] = {
      ...{ table: merged.table, strategy: 'delta', rows: merged.rows, runsSinceSweep: 0, syncedAt: at },
    };
    transaction.state.configured = [table.logicalName];
    await transaction.countDangling(new Set([table.logicalName]));
    await transaction.commit({ outcome: { runs: 1 } });
  }),
);
await mirror.close();
await server.stop();
console.log(JSON.stringify({ floor, merge, rows }));
process.exit();

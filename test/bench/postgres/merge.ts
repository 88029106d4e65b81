/**
 * What a merge of wide rows into PostgreSQL takes, and the least that a plain client needs for the same rows: `COPY` of text
 * that is ready into a temporary table, and one upsert. Run by postgres.ts, in a process of its own.
 *
 *   node test/bench/postgres/merge.ts ROWS ROUNDS
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { pipeline } from 'node:stream/promises';
import type pg from 'pg';
import { from } from 'pg-copy-streams';
import { postgresAddress } from '../../../src/config/postgres/postgres-address.ts';
import { loadSqlite } from '../../../src/sqlite/sqlite.ts';
import { PostgresMirror } from '../../../src/target/postgres/postgres-mirror.ts';
import { postgresType } from '../../../src/target/postgres/schema/column-types.ts';
import { addressIn, withClient } from '../../postgres.ts';
import { startOwnPostgres } from '../../shared-postgres.ts';
import { processorSeconds } from './processor-time.ts';
import { copyText, rowsOf, shardOf, wideTable } from './rows.ts';

const rows = Number(process.argv[2] ?? 100_000);
const rounds = Number(process.argv[3] ?? 3);
const perShard = 25_000;
const sqlite = await loadSqlite();
const table = wideTable();
const server = await startOwnPostgres();
const address = addressIn(server.folder);
const names = table.columns.map(({ name }) => `"${name}"`);

/** The rows of one case, as text and in shards. */
function rowsFor(version: number, count: number) {
  const parts = Array.from({ length: Math.ceil(count / perShard) }, (_, n) =>
    rowsOf(table, n * perShard, Math.min(count, (n + 1) * perShard), version),
  );
  return { text: parts.flatMap(copyText), shards: parts.map((part) => shardOf(sqlite, table, part)) };
}
const first = rowsFor(0, rows);
const changed = rowsFor(1, rows / 10);
const cases = [
  { name: 'new', ...first, isComplete: true },
  { name: 'unchanged', ...first, isComplete: true },
  { name: 'a tenth, changed', ...changed, isComplete: false },
];

/** Seconds that passed, and seconds of processors here and in the server. */
interface Cost {
  seconds: number;
  processor: number;
}

const cost = async (work: () => Promise<unknown>): Promise<Cost> => {
  const before = processorSeconds(server.folder);
  const began = performance.now();
  await work();
  const seconds = (performance.now() - began) / 1000;
  return { seconds, processor: processorSeconds(server.folder) - before };
};

/** @param chunks the rows of `COPY` */
async function plainMerge(client: pg.Client, chunks: Iterable<Buffer>): Promise<void> {
  await client.query('BEGIN');
  await client.query('CREATE TEMP TABLE staged (LIKE plain.rows) ON COMMIT DROP');
  await pipeline(chunks, client.query(from(`COPY staged (${names}) FROM STDIN`)));
  await client.query(
    `INSERT INTO plain.rows AS t (${names}) SELECT ${names} FROM staged ON CONFLICT ("${table.primaryKey}") DO UPDATE
     SET ${names.slice(1).map((name) => `${name} = excluded.${name}`)}
     WHERE t."${table.versionColumn}" IS DISTINCT FROM excluded."${table.versionColumn}"`,
  );
  await client.query('COMMIT');
}

/** The rows of shards as a simple program would make them text: with node:sqlite, without a check of any value. */
function* simpleText(shards: readonly Buffer[]): Generator<Buffer> {
  const booleans = new Set(table.columns.flatMap(({ reading }, n) => (reading === 'boolean' ? [n] : [])));
  const folder = mkdtempSync(join(tmpdir(), 'bench-shard-'));
  for (const bytes of shards) {
    writeFileSync(join(folder, 'shard.db'), bytes);
    const db = new DatabaseSync(join(folder, 'shard.db'), { readOnly: true });
    const statement = db.prepare(`SELECT ${names} FROM rows`);
    statement.setReturnArrays(true);
    let text = '';
    for (const row of statement.iterate() as Iterable<unknown>) {
      const fields = (row as unknown[]).map((value, n) =>
        value === null
          ? '\\N'
          : booleans.has(n)
            ? value === 1
              ? 't'
              : 'f'
            : String(value).replaceAll('\\', '\\\\'),
      );
      text += `${fields.join('\t')}\n`;
      if (text.length < 65_536) continue;
      yield Buffer.from(text);
      text = '';
    }
    yield Buffer.from(text);
    db.close();
  }
  rmSync(folder, { recursive: true });
}

async function plainCase({ name, text, shards }: (typeof cases)[number], isSimple: boolean): Promise<Cost> {
  return withClient(address, async (client) => {
    if (name === 'new') {
      const columns = table.columns.map((column) => `"${column.name}" ${postgresType(column)}`);
      await client.query(`DROP SCHEMA IF EXISTS plain CASCADE; CREATE SCHEMA plain;
        CREATE TABLE plain.rows (${columns}, PRIMARY KEY ("${table.primaryKey}"))`);
    }
    return cost(() => plainMerge(client, isSimple ? simpleText(shards) : text));
  });
}

let runs = 0;
async function ownCase({
  name,
  shards,
  isComplete,
}: (typeof cases)[number]): Promise<{ merge: number; whole: Cost }> {
  if (name === 'new')
    await withClient(address, (client) => client.query('DROP SCHEMA IF EXISTS mirror CASCADE'));
  const mirror = new PostgresMirror({
    sqlite,
    connection: { ...postgresAddress(address), schema: 'mirror' },
  });
  runs += 1;
  const at = new Date(Date.UTC(2026, 10, 26) + runs * 1000).toISOString();
  const options = {
    loaded: await mirror.loadState(),
    ...{ runId: `run-${runs}`, at, synced: [table], incomingBytes: 0 },
  };
  const parts = shards.map((bytes) => ({ read: async () => new Uint8Array(bytes), isFinal: true }));
  let merge = 0;
  const whole = await cost(() =>
    mirror.transaction(options, async (transaction) => {
      const began = performance.now();
      const merged = await transaction.mergeTable(table, parts, {
        ...{ history: false, startHistory: false, massDeleteLimit: 1, isComplete, comparedKeys: undefined },
      });
      merge = (performance.now() - began) / 1000;
      const expected = { new: [rows, 0], unchanged: [0, 0] }[name] ?? [0, rows / 10];
      if (merged.added !== expected[0] || merged.updated !== expected[1])
        throw new Error(JSON.stringify(merged));
      transaction.state.entities[table.logicalName] = {
        ...{ table: merged.table, strategy: 'delta', rows: merged.rows, runsSinceSweep: 0, syncedAt: at },
      };
      transaction.state.configured = [table.logicalName];
      await transaction.countDangling(new Set([table.logicalName]));
      await transaction.commit({ outcome: { runs } });
    }),
  );
  await mirror.close();
  return { merge, whole };
}

interface Result {
  case: string;
  /** The plain client, with text that is ready and with text that it makes of the shards. */
  floor: Cost;
  fromShards: Cost;
  /** The product: seconds of `mergeTable`, and its cost with the lock, the state and the commit. */
  merge: number;
  whole: Cost;
}

const results: Result[] = [];
// The first round brings the programs into memory.
for (let round = 0; round <= rounds; round++) {
  const measured: Result[] = [];
  for (const one of cases) {
    const floor = await plainCase(one, false);
    measured.push({ case: one.name, floor, fromShards: floor, ...(await ownCase(one)) });
  }
  for (const [n, one] of cases.entries()) measured[n]!.fromShards = await plainCase(one, true);
  if (round > 0) results.push(...measured);
}
await server.stop();
const textBytes = first.text.reduce((sum, { length }) => sum + length, 0);
const shardBytes = first.shards.reduce((sum, { length }) => sum + length, 0);
console.log(JSON.stringify({ results, textBytes, shardBytes }));

import { beforeEach, expect, test } from 'vitest';
import { campaignMetricsId } from '../../../src/metrics/contract/campaign-metrics-id.ts';
import { FaultyDataverse } from '../faulty-dataverse.ts';
import { record } from '../metrics-world.ts';
import { connectTable } from '../sample-table.ts';

let dataverse: FaultyDataverse;
beforeEach(async () => {
  dataverse = new FaultyDataverse();
  await dataverse.start();
  return () => dataverse.stop();
});

const guard = { signal: AbortSignal.timeout(60_000) };
const rowOf = (runId: string, tokensIn: number) => {
  const value = record({ runId, tokensIn });
  return { id: campaignMetricsId(value), record: value };
};
const many = (count: number, tokensIn: number) =>
  Array.from({ length: count }, (_, n) => rowOf(`r${n}`, tokensIn));

type Table = ReturnType<typeof connectTable>['table'];

/** Writes rows until each is settled, a new row with each call; returns the number of calls. */
async function callsUntilSettled(table: Table, rows: ReturnType<typeof many>, maxCalls: number) {
  let open = rows;
  let calls = 0;
  while (open.length > 0 && calls < maxCalls) {
    calls += 1;
    const results = await table.writeMany([rowOf(`new-${calls}`, 1), ...open], guard);
    expect(results[0]).toMatchObject({ created: true });
    open = open.filter((_, index) => 'unknown' in results[index + 1]!);
  }
  expect(open).toEqual([]);
  return calls;
}

const stored = (count: number) => many(count, 0).map(({ id }) => dataverse.rows.get(id)?.['apex_tokensin']);

test('gives slow updates more time although new rows are created meanwhile', async () => {
  const { table } = connectTable(dataverse.url, { bulkTimeoutMs: 400 });
  await table.writeMany(many(50, 1), guard);
  dataverse.rowDelayMs = 20;
  // The batch takes at least 1,000 ms: limits of 400 and 800 ms are too short.
  expect(await callsUntilSettled(table, many(50, 2), 6)).toBeGreaterThanOrEqual(3);
  expect(stored(50)).toEqual(Array(50).fill(2));
});

test('gives slow updates more time also while other calls are in time', async () => {
  const { table } = connectTable(dataverse.url, { bulkTimeoutMs: 400 });
  await table.writeMany(many(50, 1), guard);
  dataverse.rowDelayMs = 20;
  let isSettled = false;
  const others = async () => {
    for (let n = 0; !isSettled; n += 1) await table.writeMany([rowOf(`other-${n}`, 1)], guard);
  };
  const slow = callsUntilSettled(table, many(50, 2), 6).finally(() => {
    isSettled = true;
  });
  expect((await Promise.all([slow, others()]))[0]).toBeGreaterThanOrEqual(3);
});

test('updates rows in smaller batches if a batch takes longer than the longest limit', async () => {
  const { table } = connectTable(dataverse.url, { bulkTimeoutMs: 500 }, { maxTimeoutMs: 500 });
  await table.writeMany(many(16, 1), guard);
  dataverse.rowDelayMs = 100;
  await callsUntilSettled(table, many(16, 2), 9);
  expect(stored(16)).toEqual(Array(16).fill(2));
});

test('a row without an answer makes neither the batches nor the creation of others small', async () => {
  const { table } = connectTable(dataverse.url, { bulkTimeoutMs: 400 }, { maxTimeoutMs: 400 });
  const rows = (tokensIn: number) => [rowOf('stuck', tokensIn), ...many(150, tokensIn)];
  await table.writeMany(rows(1), guard);
  const stuck = rowOf('stuck', 0).id;
  dataverse.hangs = (text) => text.includes(stuck);
  for (let tokensIn = 2; tokensIn < 12; tokensIn += 1) await table.writeMany(rows(tokensIn), guard);
  dataverse.requests = [];
  const fresh = Array.from({ length: 150 }, (_, n) => rowOf(`fresh-${n}`, 1));
  const results = await table.writeMany([...rows(12), ...fresh], guard);
  expect(results.filter((result) => 'unknown' in result)).toEqual([results[0]]);
  expect(dataverse.requests.filter((kind) => kind === 'CreateMultiple').length).toBeLessThan(4);
  expect(dataverse.requests.filter((kind) => kind === '$batch').length).toBeLessThan(12);
});

test('a new row without an answer does not keep other new rows from being created', async () => {
  const { table } = connectTable(dataverse.url, { bulkTimeoutMs: 400, bulkSize: 40 }, { maxTimeoutMs: 400 });
  const stuck = rowOf('stuck', 1).id;
  dataverse.hangs = (text) => text.includes(stuck);
  let open = [rowOf('stuck', 1), ...many(39, 1)];
  for (let call = 0; call < 9 && open.length > 1; call += 1) {
    const results = await table.writeMany(open, guard);
    open = open.filter((_, index) => 'unknown' in results[index]!);
  }
  expect(open.map(({ id }) => id)).toEqual([stuck]);
});

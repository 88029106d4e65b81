import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { CampaignMetrics } from '../../../src/metrics/contract/campaign-metrics-fields.ts';
import { acceptRecords } from '../../../src/metrics/write/accept-records.ts';
import { drainJournal } from '../../../src/metrics/write/drain-journal.ts';
import { type Azurite, startAzurite } from '../../azurite.ts';
import { type Fault, FaultyDataverse } from '../faulty-dataverse.ts';
import { createWorld, record, type World } from '../metrics-world.ts';
import { connectTable } from '../sample-table.ts';

let azurite: Azurite;
beforeAll(async () => {
  azurite = await startAzurite();
});
afterAll(() => azurite.stop());

let dataverse: FaultyDataverse;
beforeEach(async () => {
  dataverse = new FaultyDataverse();
  await dataverse.start();
  return () => dataverse.stop();
});

const many = (count: number, more: Partial<CampaignMetrics> = {}) =>
  Array.from({ length: count }, (_, n) => record({ runId: `r${n}`, ...more }));
const stored = () => [...dataverse.rows.values()].map((row) => row['apex_tokensin']);

function connectWorld(): World<ReturnType<typeof connectTable>['table']> {
  return createWorld(azurite, { table: connectTable(dataverse.url).table });
}

/** The requests that `work` sends, by kind. */
async function requestsOf(work: () => Promise<unknown>): Promise<Record<string, number>> {
  dataverse.requests = [];
  await work();
  const counts: Record<string, number> = {};
  for (const kind of dataverse.requests) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

/** The next requests of a kind meet these faults. */
function meet(kind: string, ...faults: (Fault | undefined)[]): void {
  dataverse.fault = (each) => (each === kind ? faults.shift() : undefined);
}

test('repeats only the request that failed', async () => {
  const { services } = connectWorld();
  await acceptRecords(services, many(1000, { tokensIn: 1 }), true);
  await drainJournal(services);
  await acceptRecords(services, many(1000, { tokensIn: 2 }), true);
  meet('$batch', undefined, undefined, '503');
  const requests = await requestsOf(() => drainJournal(services));
  expect(requests).toEqual({ GET: 2 + 1, $batch: 10 + 1 });
  expect(stored()).toEqual(Array(1000).fill(2));
});

test.each<Fault>(['lost', 'late', 'hang'])(
  'does not write other rows again when a request ends as %s',
  async (fault) => {
    const { table } = connectTable(dataverse.url, { bulkTimeoutMs: 400 });
    const { services } = createWorld(azurite, { table });
    await acceptRecords(services, many(250, { tokensIn: 1 }), true);
    await drainJournal(services);
    await acceptRecords(services, many(250, { tokensIn: 2 }), true);
    meet('$batch', undefined, fault);
    const versions = () =>
      [...dataverse.rows.values()].map((row) => Number(/\d+/.exec(String(row['@odata.etag']))));
    const before = Math.max(...versions());
    await drainJournal(services);
    expect(stored()).toEqual(Array(250).fill(2));
    // A write that Dataverse executes although its answer is lost counts, too; no other row is written twice.
    expect(Math.max(...versions()) - before).toBeLessThanOrEqual(250 + 100);
  },
);

test('another instance continues where one stopped, and newer records stay in order', async () => {
  const { services, another } = connectWorld();
  await acceptRecords(services, many(300, { tokensIn: 1 }), true);
  await drainJournal(services);
  await acceptRecords(services, many(300, { tokensIn: 2 }), true);
  dataverse.retryAfterSeconds = 30;
  meet('$batch', undefined, '429');
  expect(await drainJournal(services)).toMatchObject({ stopped: 'waiting for Dataverse', written: 200 });
  const { pending, state } = await services.journal.progress();
  expect([pending, state.failures]).toEqual([true, 1]);
  expect(state.retryAt - Date.now()).toBeGreaterThan(20_000);
  // Newer values of a row that is settled and of one that is not.
  const newer = many(300, { tokensIn: 3 });
  await acceptRecords(services, [newer[0]!, newer[150]!], true);
  const lease = (await services.journal.lease())!;
  await lease.change({ retryAt: 0 });
  await lease.release();
  // Another instance does not know that Dataverse asked for a pause.
  const { table } = connectTable(dataverse.url.replace('127.0.0.1', 'localhost'));
  dataverse.fault = () => undefined;
  const requests = await requestsOf(() => drainJournal({ ...another(), table }));
  expect(requests).toEqual({ GET: 1, $batch: 2 });
  expect(stored()).toEqual(newer.map((_, n) => (n === 0 || n === 150 ? 3 : 2)));
  expect((await services.journal.progress()).pending).toBe(false);
});

test('a row that is rejected is poison at once, also while others wait', async () => {
  const { services } = connectWorld();
  await acceptRecords(services, many(150, { tokensIn: 1 }), true);
  await drainJournal(services);
  dataverse.refuses = (row) => (row['apex_runid'] === 'r120' ? 'unlucky' : undefined);
  await acceptRecords(services, many(150, { tokensIn: 2 }), true);
  meet('$batch', '503');
  expect(await drainJournal(services)).toEqual({ written: 149, refused: 1 });
  expect((await services.poison.ids()).size).toBe(1);
  expect(stored().filter((value) => value === 2)).toHaveLength(149);
});

test('waits for five minutes at most, whatever Dataverse asks for', async () => {
  const { services } = connectWorld();
  await acceptRecords(services, many(1), true);
  // A queue message can be delayed for seven days.
  dataverse.retryAfterSeconds = 8 * 86_400;
  meet('CreateMultiple', '429');
  expect((await drainJournal(services)).stopped).toBe('waiting for Dataverse');
  const pause = (await services.journal.state()).retryAt - Date.now();
  expect(pause).toBeGreaterThan(240_000);
  expect(pause).toBeLessThanOrEqual(300_000);
});

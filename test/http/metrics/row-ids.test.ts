import { HttpRequest } from '@azure/functions';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { getCampaignMetrics } from '../../../src/http/metrics/get-campaign-metrics.ts';
import { getStatus } from '../../../src/http/metrics/get-status.ts';
import { postCampaignMetrics } from '../../../src/http/metrics/post-campaign-metrics.ts';
import { type SampleDataverse, startSampleDataverse } from '../../../src/local/sample-dataverse/index.ts';
import type { CampaignMetricsInput } from '../../../src/metrics/contract/campaign-metrics-fields.ts';
import { campaignMetricsId } from '../../../src/metrics/contract/campaign-metrics-id.ts';
import type { MetricsServices } from '../../../src/metrics/services.ts';
import { drainJournal } from '../../../src/metrics/write/drain-journal.ts';
import { type Azurite, startAzurite } from '../../azurite.ts';
import { createWorld, input, type World } from '../../metrics/metrics-world.ts';
import { connectTable } from '../../metrics/sample-table.ts';

let azurite: Azurite;
let dataverse: SampleDataverse;
beforeAll(async () => {
  [azurite, dataverse] = await Promise.all([startAzurite(), startSampleDataverse({ rows: 100 })]);
});
afterAll(() => Promise.all([azurite.stop(), dataverse.stop()]));

type Item = { id: string; location: string; status: number; state?: string };
const collection = 'http://app/api/metrics/campaign';
const derived = (value: CampaignMetricsInput) => campaignMetricsId({ phase: '2-3', ...value });

function connect(): World<ReturnType<typeof connectTable>['table']> {
  const { table, reader } = connectTable(dataverse.url);
  // A machine under load must not make a direct write a queued one.
  return createWorld(azurite, { table, reader, settings: { writeTimeoutMs: 60_000 } });
}

/** A row with the id of an earlier version, and one that does not exist yet. */
function prepare(campaignId: string): { values: CampaignMetricsInput[]; ids: string[] } {
  const [kept, fresh] = [input({ campaignId, runId: 'kept' }), input({ campaignId, runId: 'new' })];
  const id = dataverse.store.create('apex_campaignmetrics', {
    apex_campaignid: campaignId,
    apex_runid: 'kept',
    apex_phase: '2-3',
  });
  expect(id).not.toBe(derived(kept));
  return { values: [kept, fresh], ids: [id, derived(fresh)] };
}

async function post(services: MetricsServices, values: readonly CampaignMetricsInput[], prefer = '') {
  const headers = { 'content-type': 'application/json', prefer };
  const body = { string: JSON.stringify(values) };
  const request = new HttpRequest({ method: 'POST', url: collection, headers, body });
  return (await postCampaignMetrics(services, request)).jsonBody as Item[];
}

async function follow(services: MetricsServices, location: string): Promise<Item> {
  const last = location.split('/').at(-1)!;
  const isStatus = location.includes('/status/');
  const params: Record<string, string> = { [isStatus ? 'ticket' : 'id']: last };
  const request = new HttpRequest({ method: 'GET', url: location, params });
  return (await (isStatus ? getStatus : getCampaignMetrics)(services, request)).jsonBody as Item;
}

test('a list is answered with the ids that the rows have', async () => {
  const { services } = connect();
  const { values, ids } = prepare('answered');
  const items = await post(services, values);
  expect(items.map(({ status, id }) => [status, id])).toEqual([
    [200, ids[0]],
    [201, ids[1]],
  ]);
  for (const { location, id } of items) expect((await follow(services, location)).id).toBe(id);
});

test('the status of a written record names the id that its row has', async () => {
  const { services, another } = connect();
  const { values, ids } = prepare('queued');
  const items = await post(services, values, 'respond-async');
  expect(items.map(({ id }) => id)).toEqual(values.map(derived));
  await drainJournal(services);
  // This instance wrote the rows and asks nobody; the other one has to look them up.
  const before = dataverse.stats.requests;
  const known = await Promise.all(items.map(({ location }) => follow(services, location)));
  expect(dataverse.stats.requests).toBe(before);
  const other = { ...another(), table: connectTable(dataverse.url).table };
  const found = await Promise.all(items.map(({ location }) => follow(other, location)));
  for (const statuses of [known, found]) {
    expect(statuses.map(({ state, id }) => [state, id])).toEqual(ids.map((id) => ['written', id]));
  }
  expect(await follow(services, found[0]!.location)).toMatchObject({ id: ids[0], runId: 'kept' });
});

test('the status of a written record does not need Dataverse to answer', async () => {
  const { services, logged } = connect();
  const { values } = prepare('outage');
  const [item] = await post(services, values, 'respond-async');
  await drainJournal(services);
  const { table } = connectTable('http://127.0.0.1:1');
  const status = await follow({ ...services, table }, item!.location);
  expect(status).toMatchObject({ state: 'written', id: derived(values[0]!) });
  expect(logged.filter(({ level }) => level === 'warn')).toHaveLength(1);
});

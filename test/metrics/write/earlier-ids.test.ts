import { afterAll, beforeAll, expect, test } from 'vitest';
import { getStatus } from '../../../src/http/metrics/get-status.ts';
import type { CampaignMetrics } from '../../../src/metrics/contract/campaign-metrics-fields.ts';
import { campaignMetricsId } from '../../../src/metrics/contract/campaign-metrics-id.ts';
import type { MetricsServices } from '../../../src/metrics/services.ts';
import { acceptRecords } from '../../../src/metrics/write/accept-records.ts';
import { drainJournal } from '../../../src/metrics/write/drain-journal.ts';
import { replayPoison } from '../../../src/metrics/write/replay-poison.ts';
import { type Azurite, startAzurite } from '../../azurite.ts';
import { createWorld, record } from '../metrics-world.ts';

let azurite: Azurite;
beforeAll(async () => {
  azurite = await startAzurite();
});
afterAll(() => azurite.stop());

/** Ids that an earlier version of the app derived from two spellings of one key. */
const earlierIds = ['11111111-1111-5111-8111-111111111111', '22222222-2222-5222-8222-222222222222'] as const;
const acceptedAt = '2026-11-21T10:00:00.000Z';
const id = campaignMetricsId(record());

/** What an earlier version left: rejected values under its own ids, and a state without `poisonIds`. */
async function leavePoison(services: MetricsServices, values: readonly CampaignMetrics[]): Promise<string[]> {
  const entries = values.map((value, n) => ({ id: earlierIds[n]!, acceptedAt, record: value }));
  const places = await services.journal.append(entries);
  const tickets = places.map(({ generation, offset }) => `${generation}-${offset}`);
  for (const [n, entry] of entries.entries()) {
    const ticket = tickets[n]!;
    await services.poison.put({ ...entry, ticket, refusedAt: acceptedAt, error: 'too long' });
  }
  const lease = (await services.journal.lease())!;
  const { next } = await services.journal.read(lease.state, 1 << 20);
  await lease.change({ ...next, poison: entries.length });
  await lease.release();
  return tickets;
}

test('a value that an earlier version queued does not overwrite a newer one', async () => {
  const { services, table, another } = createWorld(azurite);
  await services.journal.append([{ id: earlierIds[0], acceptedAt, record: record({ tokensIn: 1 }) }]);
  await acceptRecords(another(), [record({ tokensIn: 2 })], false);
  await drainJournal(services);
  expect([...table.rows].map(([rowId, { tokensIn }]) => [rowId, tokensIn])).toEqual([[id, 2]]);
});

test.each([[['new', 'replay']], [['new', 'drain', 'replay']], [['replay', 'new']]])(
  'a poison record of an earlier version does not overwrite a newer value: %j',
  async (steps) => {
    const { services, table, another } = createWorld(azurite);
    await leavePoison(services, [record({ tokensIn: 1 })]);
    for (const step of steps) {
      if (step === 'new') await acceptRecords(another(), [record({ tokensIn: 2 })], false);
      else if (step === 'replay') await replayPoison(services);
      else await drainJournal(services);
    }
    await drainJournal(services);
    expect([...table.rows].map(([rowId, { tokensIn }]) => [rowId, tokensIn])).toEqual([[id, 2]]);
    expect((await services.poison.ids()).size).toBe(0);
    expect((await services.journal.state()).poison).toBe(0);
  },
);

test('a poison record of an earlier version can be replayed, and of two spellings the newer counts', async () => {
  const { services, table } = createWorld(azurite);
  await leavePoison(services, [record({ tokensIn: 1 }), record({ campaignId: 'SPRING', tokensIn: 2 })]);
  await acceptRecords(services, [record({ runId: 'neighbour' })], true);
  await drainJournal(services);
  expect(await services.poison.ids()).toEqual(new Set([id]));
  expect((await services.journal.state()).poison).toBe(1);
  await replayPoison(services);
  await drainJournal(services);
  expect(table.rows.get(id)).toMatchObject({ campaignId: 'SPRING', tokensIn: 2 });
  expect((await services.poison.ids()).size).toBe(0);
});

test('the status of a record that an earlier version could not write stays poison', async () => {
  const { services } = createWorld(azurite);
  const [ticket] = await leavePoison(services, [record()]);
  const request = {
    params: { ticket },
    url: 'http://app/api/metrics/campaign/status/1-0',
    headers: new Headers(),
  };
  const status = async () => (await getStatus(services, request as never)).jsonBody;
  expect(await status()).toMatchObject({ state: 'poison', id, error: 'too long' });
  await acceptRecords(services, [record({ runId: 'neighbour' })], true);
  await drainJournal(services);
  expect(await status()).toMatchObject({ state: 'poison', id, error: 'too long' });
});

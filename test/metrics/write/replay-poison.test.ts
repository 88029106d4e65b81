import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { CampaignMetrics } from '../../../src/metrics/contract/campaign-metrics-fields.ts';
import { campaignMetricsId } from '../../../src/metrics/contract/campaign-metrics-id.ts';
import { acceptRecords } from '../../../src/metrics/write/accept-records.ts';
import { drainJournal } from '../../../src/metrics/write/drain-journal.ts';
import { replayPoison } from '../../../src/metrics/write/replay-poison.ts';
import { type Azurite, startAzurite } from '../../azurite.ts';
import type { MemoryTable } from '../memory-table.ts';
import { createWorld, record, type World } from '../metrics-world.ts';

let azurite: Azurite;
let world: World<MemoryTable>;
beforeAll(async () => {
  azurite = await startAzurite();
});
afterAll(() => azurite.stop());

const bad = record({ tokensIn: 13 });
const id = campaignMetricsId(bad);
const isBad = (value: CampaignMetrics) => value.tokensIn === 13;
const value = () => world.table.rows.get(id)?.tokensIn;

/** One record is poison. */
beforeEach(async () => {
  world = createWorld(azurite);
  world.table.refuses = isBad;
  await acceptRecords(world.services, [bad], true);
  await drainJournal(world.services);
  expect(await world.services.poison.ids()).toEqual(new Set([id]));
});

test('writes poison records once the cause is fixed, and deletes them only then', async () => {
  expect(await replayPoison(world.services, { dryRun: true })).toMatchObject([{ id, record: bad }]);
  await drainJournal(world.services);
  expect(value()).toBeUndefined();
  expect(await replayPoison(world.services)).toHaveLength(1);
  await drainJournal(world.services);
  expect(await world.services.poison.get(id)).toMatchObject({ id, ticket: '1-0' });
  world.table.refuses = () => false;
  await replayPoison(world.services);
  await drainJournal(world.services);
  expect(value()).toBe(13);
  expect((await world.services.poison.ids()).size).toBe(0);
  expect((await world.services.journal.state()).poison).toBe(0);
  expect(await replayPoison(world.services)).toEqual([]);
});

test('replays only the given rows', async () => {
  expect(await replayPoison(world.services, { ids: ['another'] })).toEqual([]);
  expect(await replayPoison(world.services, { ids: [id] })).toHaveLength(1);
});

test.each([
  ['written before the replay', ['new', 'drain', 'replay']],
  ['accepted before the replay', ['new', 'replay']],
  ['accepted after the replay', ['replay', 'new']],
  ['written directly after the replay', ['replay', 'direct']],
  ['written directly before the replay', ['direct', 'replay']],
])('never overwrites a newer value: %s', async (_, steps) => {
  for (const step of steps) {
    if (step === 'drain') await drainJournal(world.services);
    else if (step === 'replay') {
      world.table.refuses = () => false;
      await replayPoison(world.services);
    } else await acceptRecords(world.another(), [{ ...bad, tokensIn: 14 }], step === 'new');
  }
  world.table.refuses = () => false;
  await drainJournal(world.services);
  expect(value()).toBe(14);
  expect((await world.services.poison.ids()).size).toBe(0);
});

import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { campaignMetricsId } from '../../../src/metrics/contract/campaign-metrics-id.ts';
import { acceptRecords } from '../../../src/metrics/write/accept-records.ts';
import { drainJournal } from '../../../src/metrics/write/drain-journal.ts';
import { replayPoison } from '../../../src/metrics/write/replay-poison.ts';
import { type Azurite, startAzurite } from '../../azurite.ts';
import { sampleOf } from '../../long.ts';
import { createWorld, record } from '../metrics-world.ts';

let azurite: Azurite;
beforeAll(async () => {
  azurite = await startAzurite();
});
afterAll(() => azurite.stop());

/** Random numbers in [0, 1), repeatable by their seed. */
function randomFrom(seed: number): () => number {
  let state = seed * 2_654_435_761 + 1;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

test.each(sampleOf([1, 2, 3, 4, 5, 6], 2))(
  'with random callers, instances, drains and faults, each row ends with its last value (%i)',
  async (seed) => {
    const random = randomFrom(seed);
    const world = createWorld(azurite, { settings: { bulkSize: 5 }, sealAt: 4_000 });
    const instances = [world.services, world.another(), world.another()];
    const any = () => instances[Math.floor(random() * instances.length)]!;
    world.table.random = () => {
      const dice = random();
      return dice < 0.02 ? 'busy' : dice < 0.04 ? 'done but lost' : undefined;
    };
    // Dataverse rejects some values throughout the test.
    world.table.refuses = (value) => value.tokensOut === 13;
    // For a while it answers nothing for one row, then for another.
    let stuck = '';
    world.table.unanswered = ({ campaignId }) => campaignId === stuck;
    let posting = true;
    const writers = Array.from({ length: 3 }, async () => {
      while (posting) {
        if (random() < 0.3) stuck = `caller-${Math.floor(random() * 12)}`;
        await drainJournal(any());
        if (random() < 0.1) await replayPoison(any());
        await sleep(random() * 30);
      }
    });
    const last = new Map<string, number>();
    await Promise.all(
      Array.from({ length: 8 }, async (_, caller) => {
        for (let version = 1; version <= 15; version += 1) {
          const tokensOut = version < 15 && random() < 0.05 ? 13 : 1;
          const value = record({ campaignId: `caller-${caller}`, tokensIn: version, tokensOut });
          const neighbour = record({ campaignId: `list-${caller}`, tokensIn: version });
          const records = random() < 0.3 ? [value, neighbour] : [value];
          const accepted = await acceptRecords(any(), records, random() < 0.4);
          for (const { outcome, row } of accepted) {
            if (outcome !== 'refused') last.set(row.id, row.record.tokensIn);
          }
          await sleep(random() * 20);
        }
      }),
    );
    posting = false;
    stuck = '';
    await Promise.all(writers);
    world.table.random = undefined;
    while ((await world.services.journal.progress()).pending) {
      await drainJournal(any());
      await sleep(20);
    }
    const held = [...last.keys()].map((id) => [id, world.table.rows.get(id)?.tokensIn]);
    expect(Object.fromEntries(held)).toEqual(Object.fromEntries(last));
    expect(last.get(campaignMetricsId(record({ campaignId: 'caller-0' })))).toBe(15);
    expect((await world.services.poison.ids()).size).toBe(0);
  },
);

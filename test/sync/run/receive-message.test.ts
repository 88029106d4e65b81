import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { failPoisonedCheck, runCheck } from '../../../src/sync/check/run-check.ts';
import { failPoisonedTable } from '../../../src/sync/fetch/fail-table.ts';
import { fetchSlice } from '../../../src/sync/fetch/fetch-slice.ts';
import { mergeRound } from '../../../src/sync/merge/merge-round.ts';
import { failPoisonedRun } from '../../../src/sync/run/fail-run.ts';
import { failPoisonedPlan, planRun } from '../../../src/sync/run/plan-run.ts';
import { receive } from '../../../src/sync/run/receive-message.ts';
import { Organisation } from '../organisation.ts';

let org: Organisation;
beforeAll(async () => {
  org = await Organisation.start(['account'], { rows: 30 });
});
afterAll(() => org.stop());
beforeEach(() => {
  org.harness.log.length = 0;
});

const services = async () => org.harness.services;
const context = { triggerMetadata: { id: 'm-1', dequeueCount: 1 } };
/** All queue functions of the sync. */
const handlers = {
  'sync-plan': receive('plan', 'sync-plan', services, planRun),
  'sync-plan-poison': receive('plan', 'sync-plan-poison', services, failPoisonedPlan),
  'sync-fetch': receive('fetch', 'sync-fetch', services, fetchSlice),
  'sync-fetch-poison': receive('fetch', 'sync-fetch-poison', services, failPoisonedTable),
  'sync-merge': receive('merge', 'sync-merge', services, mergeRound),
  'sync-merge-poison': receive('merge', 'sync-merge-poison', services, failPoisonedRun),
  'sync-verify': receive('check', 'sync-verify', services, runCheck),
  'sync-verify-poison': receive('check', 'sync-verify-poison', services, failPoisonedCheck),
};
const names = async (): Promise<string[]> => {
  const found: string[] = [];
  for await (const { name } of org.harness.services.work.list('')) found.push(name);
  return found;
};

describe.each(Object.entries(handlers))('the function of queue %s', (queue, handle) => {
  const foreign = [
    ...['hello', '', {}, [], null, undefined, 17, { order: 17 }, { runId: 5, round: 'x' }],
    ...[
      { runId: '../x', round: 1 },
      { runId: 'r', round: 1, entity: 'account', slice: 0, app: {} },
      { runId: 'r', round: 1, entity: 'account', slice: 0, app: 'other', returned: 'x' },
      { runId: 'r', round: 0, entity: '', slice: -1 },
    ],
  ].filter((message) => queue.includes('plan') || (message as { runId?: string } | null)?.runId !== 'r');

  it.each(foreign)(
    'drops %j with one line in the log, while a run is live and while none is',
    async (message) => {
      for (const isLive of [false, true]) {
        if (isLive) await org.harness.startUnplanned();
        if (queue.includes('plan') && (message as { runId?: string } | null)?.runId === 'r') continue;
        const before = await names();
        org.harness.log.length = 0;
        await handle(message, context);
        expect(org.harness.log).toEqual([
          {
            level: 'warn',
            message: `Dropped a message of ${queue} that is not from this app.`,
            properties: { id: 'm-1' },
          },
        ]);
        expect(await names()).toEqual(before);
      }
      await org.harness.drain();
    },
  );

  it('does nothing for a run that is not live', async () => {
    const before = await names();
    await handle({ runId: 'other', round: 1, entity: 'account', slice: 0 }, context);
    expect(await names()).toEqual(before);
  });

  it('gives a message of another app back, and says so rarely', async () => {
    const all = org.harness.services;
    const sent: unknown[] = [];
    all.sendTo = async (...args) => void sent.push(args);
    const { runId } = await org.harness.startUnplanned();
    const ofCheck = { checkId: 'check-1', step: 0 };
    const message = { runId, round: 1, entity: 'account', slice: 0, ...ofCheck, app: 'the other app' };
    const before = await names();
    await handle(message, context);
    expect(sent).toEqual([[queue, { ...message, returned: 1 }, 1]]);
    expect(await names()).toEqual(before);
    await handle({ ...message, returned: 1 }, context);
    await handle({ ...message, returned: 100_000 }, context);
    expect(sent).toHaveLength(2);
    const told = org.harness.log.filter(({ level }) => level === 'error').map((line) => line.message);
    expect(told).toEqual([
      `The queue ${queue} is shared with another app, the other app. Its message was given back.`,
      `Dropped a message of ${queue} that the other app has not taken for days.`,
    ]);
    await org.harness.drain();
  });
});

describe('a message of this app', () => {
  it('is handled, with the app or, from an earlier version, without', async () => {
    const all = org.harness.services;
    for (const app of [undefined, all.settings.app]) {
      // Without a change the run would end where it is planned.
      org.rows('account', 1);
      const { runId } = await org.harness.startUnplanned();
      await handlers['sync-plan']({ runId, app }, context);
      expect((await all.documents.plan(runId, 1))?.runId).toBe(runId);
      await org.harness.drain();
      org.clock.now += 60_000;
    }
  });
});

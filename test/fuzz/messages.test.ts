import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { SyncError } from '../../src/errors.ts';
import { runCheck } from '../../src/sync/check/run-check.ts';
import { exportTables, failPoisonedExport } from '../../src/sync/export/export-tables.ts';
import { failPoisonedTable } from '../../src/sync/fetch/fail-table.ts';
import { fetchSlice } from '../../src/sync/fetch/fetch-slice.ts';
import { mergeRound } from '../../src/sync/merge/merge-round.ts';
import { failPoisonedRun } from '../../src/sync/run/fail-run.ts';
import { failPoisonedPlan, planRun } from '../../src/sync/run/plan-run.ts';
import { receive } from '../../src/sync/run/receive-message.ts';
import { Organisation } from '../sync/organisation.ts';
import { fuzz } from './fuzz.ts';

/**
 * Messages that anyone who may write to the queues can send. A handler never throws an untyped error, never writes
 * outside the folder of the live run, and the next run is as if nothing had happened.
 */

let org: Organisation;
beforeAll(async () => {
  org = await Organisation.start(['account', 'lead'], { rows: 30 });
  await org.sync();
});
afterAll(() => org.stop());

const services = async () => org.harness.services;
const handlers = {
  'sync-plan': receive('plan', 'sync-plan', services, planRun),
  'sync-plan-poison': receive('plan', 'sync-plan-poison', services, failPoisonedPlan),
  'sync-fetch': receive('fetch', 'sync-fetch', services, fetchSlice),
  'sync-fetch-poison': receive('fetch', 'sync-fetch-poison', services, failPoisonedTable),
  'sync-verify': receive('check', 'sync-verify', services, runCheck),
  'sync-export': receive('export', 'sync-export', services, exportTables),
  'sync-export-poison': receive('export', 'sync-export-poison', services, failPoisonedExport),
  'sync-merge': receive('merge', 'sync-merge', services, mergeRound),
  'sync-merge-poison': receive('merge', 'sync-merge-poison', services, failPoisonedRun),
};

/** Stands for the id of the live run, which is not known before. */
const live = '(live run)';
const odd = fc.oneof(
  fc.constantFrom(
    null,
    true,
    '',
    0,
    -1,
    0.5,
    2 ** 31,
    1e308,
    '1',
    '../x',
    '..',
    'a/b',
    'x'.repeat(5_000),
    '\0',
  ),
  fc.constantFrom(
    '__proto__',
    'constructor',
    'toString',
    'account',
    'lead',
    live,
    '20260101T000000Z-00000000',
  ),
  fc.jsonValue({ maxDepth: 2 }),
);
const mostly = <T>(value: T) => fc.oneof({ weight: 4, arbitrary: fc.constant<unknown>(value) }, odd);
const moment = fc.oneof(
  fc.constantFrom('2026-11-21T02:00:00Z', '9999-12-31T23:59:59Z', '0000', 'soon', '2026-11-21'),
  odd,
);
const waiting = fc.record({ since: moment, until: moment, spent: odd }, { requiredKeys: [] });
const message = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record(
      {
        runId: mostly(live),
        round: mostly(1),
        entity: fc.oneof(fc.constantFrom<unknown>('account', 'lead'), odd),
        slice: mostly(0),
        waiting: fc.oneof(waiting, odd),
        early: mostly(true),
        app: odd,
        returned: odd,
        ['__proto__']: odd,
      },
      { requiredKeys: ['runId', 'round', 'entity', 'slice'] },
    ),
  },
  odd,
);
const delivery = fc.record({
  queue: fc.constantFrom(...(Object.keys(handlers) as (keyof typeof handlers)[])),
  message,
  dequeueCount: mostly(1),
});
const input = fc.record({
  /** Whether the live run has been planned when the messages arrive. */
  planned: fc.boolean(),
  deliveries: fc.array(delivery, { minLength: 1, maxLength: 15, size: 'max' }),
});

async function names(): Promise<string[]> {
  const found: string[] = [];
  for await (const { name } of org.harness.services.work.list('')) found.push(name);
  return found;
}

describe('messages', () => {
  fuzz('do no harm', input, { seed: 31, runs: 3 }, async ({ planned, deliveries }) => {
    const all = org.harness.services;
    const before = new Set(await names());
    org.clock.now += 60_000;
    const { runId } = planned ? await org.harness.start() : await org.harness.startUnplanned();
    for (const { queue, message, dequeueCount } of deliveries) {
      const body = JSON.parse(JSON.stringify(message).replaceAll(live, runId)) as unknown;
      const sent: unknown[] = [];
      all.sendTo = async (...args) => void sent.push(args);
      try {
        await handlers[queue](body, { triggerMetadata: { id: 'm', dequeueCount } });
      } catch (error) {
        if (!(error instanceof SyncError)) throw error;
      }
      // A message of another app goes back to its queue, and nowhere else.
      for (const args of sent) expect(args).toEqual([queue, expect.any(Object), 1]);
    }
    const added = (await names()).filter((name) => !before.has(name) && !name.startsWith(`runs/${runId}/`));
    const shared = /^(?:(?:active|reread)\.json|(?:catalogs|choices|stored-ids)\/[0-9a-f]+\.json)$/;
    expect(added.filter((name) => !shared.test(name))).toEqual([]);

    await org.harness.drain();
    // A run that lost its messages is over by the next day.
    org.clock.now += 86_400_000;
    org.store.create('lead', {});
    expect(await org.sync()).toMatchObject({ phase: 'complete', totals: { failed: 0 } });
    await org.expectMirror('account', 'lead');
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });
});

import { afterEach, expect, it } from 'vitest';
import { paths } from '../../../src/sync/documents/paths.ts';
import { mergeRound } from '../../../src/sync/merge/merge-round.ts';
import { runStatus } from '../../../src/sync/run/run-status.ts';
import { Organisation } from '../organisation.ts';

let org: Organisation;
afterEach(() => org.stop());

/** A run whose first round is merged, and whose second has just been requested: `waiting` messages. */
async function mergedOnce() {
  org = await Organisation.start(['lead', { name: 'account', filtered: true }]);
  const { harness } = org;
  const [id] = org.rows('account', 1);
  org.rows('lead', 3, () => ({ _customerid_value: { id: id!, table: 'account' } }));
  const { runId } = await harness.start();
  const { services } = harness;
  while ((await services.documents.plan(runId, 2)) === undefined) await harness.deliver();
  const { waiting } = harness;
  return { harness, services, runId, waiting };
}

it('an early merge that comes after the round was merged reads nothing twice', async () => {
  const { harness, services, runId, waiting } = await mergedOnce();
  await mergeRound(services, { runId, round: 1, early: true });
  expect(harness.waiting).toBe(waiting);
  await harness.drain();
  expect(await runStatus(services, runId)).toMatchObject({ phase: 'complete', totals: { failed: 0 } });
  await org.expectMirror('lead');
});

it('an early merge that is delivered again sends what it failed to send', async () => {
  const { harness, services, runId, waiting } = await mergedOnce();
  await mergeRound(services, { runId, round: 1, early: true }, { redelivered: true });
  expect(harness.waiting).toBeGreaterThan(waiting);
  await harness.drain();
  expect(await runStatus(services, runId)).toMatchObject({ phase: 'complete', totals: { failed: 0 } });
  await org.expectMirror('lead');
});

it('a merge that is repeated after its commit completes, also if the clock went back', async () => {
  org = await Organisation.start(['lead', 'account']);
  org.rows('lead', 3);
  await org.sync();
  org.clock.now -= 300_000;
  org.store.create('lead', {});
  const { runId } = await org.harness.start();
  const { services } = org.harness;
  const { work } = services;
  const createIfAbsent = work.createIfAbsent.bind(work);
  let isDead = false;
  work.createIfAbsent = async (name, value) => {
    if (isDead || name !== paths.merged(runId, 1)) return createIfAbsent(name, value);
    isDead = true;
    throw new Error('The process died.');
  };
  await org.harness.drain();
  expect(isDead).toBe(true);
  expect(await runStatus(services, runId)).toMatchObject({ phase: 'complete', totals: { failed: 0 } });
  await org.expectMirror('lead');
});

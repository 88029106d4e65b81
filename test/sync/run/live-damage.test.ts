import { afterEach, beforeEach, expect, it } from 'vitest';
import { paths } from '../../../src/sync/documents/paths.ts';
import { failPoisonedTable } from '../../../src/sync/fetch/fail-table.ts';
import { failPoisonedRun } from '../../../src/sync/run/fail-run.ts';
import { failPoisonedPlan } from '../../../src/sync/run/plan-run.ts';
import { runStatus } from '../../../src/sync/run/run-status.ts';
import { Organisation } from '../organisation.ts';

let org: Organisation;
afterEach(() => org.stop());

/** Two rounds: the rows of `contact` that others refer to are read in the second. */
beforeEach(async () => {
  org = await Organisation.start(['lead', 'account', { name: 'contact', filtered: true }]);
  // The storage notes the time of this machine, by which a run is stale.
  org.clock.now = Date.now();
  org.harness.mergeDelay = 0;
  const [contact] = org.rows('contact', 2);
  org.rows('account', 3);
  org.rows('lead', 3, () => ({ _customerid_value: { id: contact!, table: 'contact' } }));
});

/** Delivers all messages. A poison handler may fail as well. */
async function deliverAll(): Promise<void> {
  for (let n = 0; n < 100 && org.harness.waiting > 0; n++) await org.harness.deliver().catch(() => undefined);
}

/** Delivers messages until a document whose name ends like this exists. @returns its name */
async function deliverUntil(ending: RegExp): Promise<string> {
  const { harness } = org;
  for (let n = 0; n < 100; n++) {
    for await (const { name } of harness.services.work.list('')) if (ending.test(name)) return name;
    await harness.deliver();
  }
  return expect.unreachable(`${ending}`);
}

/** After the damage at most one start abandons the run, and the next one syncs everything. */
async function expectRecovery(): Promise<void> {
  const { harness, clock } = org;
  harness.restarted();
  await deliverAll();
  clock.now += 86_400_000;
  await harness.start({ trigger: 'timer' });
  await deliverAll();
  clock.now += 86_400_000;
  expect(await harness.sync()).toMatchObject({ phase: 'complete', totals: { failed: 0 } });
  await org.expectMirror('lead', 'account');
  await org.expectIdle();
}

const notJson = 'garbage';
const otherForm = '{"entities":{"account":null}}';

it.each([
  [/\/rounds\/1\/plan\.json$/, notJson],
  [/\/account\/slices\/0\.json$/, otherForm],
  [/\/rounds\/1\/merged\.json$/, otherForm],
  [/\/rounds\/2\/plan\.json$/, 'null'],
  [/^catalogs\//, otherForm],
  [/^choices\//, otherForm],
  [/^choices\//, notJson],
])('a live run whose document %s is replaced by %s stops no later run', async (ending, text) => {
  const { harness } = org;
  await harness.startUnplanned();
  await harness.services.work.putText(await deliverUntil(ending), text, 'application/json');
  await expectRecovery();
  if (`${ending}`.includes('choices')) expect(await org.query('SELECT 1 FROM _choices')).not.toEqual([]);
});

it('the plan of a round that does not exist stops no later run', async () => {
  const { runId } = await org.harness.start();
  await org.harness.services.work.putText(paths.plan(runId, 2), 'garbage', 'application/json');
  await expectRecovery();
});

it('a stale run whose plan is damaged is abandoned at once, and the report says why', async () => {
  const { harness, clock } = org;
  const { runId } = await harness.start();
  await harness.services.work.putText(paths.plan(runId, 1), '{}', 'application/json');
  harness.restarted();
  clock.now += 86_400_000;
  const next = await harness.start({ trigger: 'timer' });
  expect(next.outcome).toBe('started');
  expect(await runStatus(harness.services, runId)).toMatchObject({
    phase: 'abandoned',
    error: expect.stringContaining('plan.json has another form'),
    hint: expect.stringContaining('What became of its tables is not known'),
    entities: [],
  });
});

it.each([notJson, 'null'])(
  'errors for poison handlers that are replaced by %s end tables and runs',
  async (text) => {
    const { harness } = org;
    const { services } = harness;
    const damage = (name: string) => services.work.putText(name, text, 'application/json');
    const { runId } = await harness.startUnplanned();
    await damage(paths.planError(runId));
    await failPoisonedPlan(services, { runId });
    expect(await runStatus(services, runId)).toMatchObject({ phase: 'failed', error: expect.any(String) });

    org.clock.now += 60_000;
    const second = await harness.start();
    await damage(paths.lastError(second.runId, 1, 'account'));
    await failPoisonedTable(services, { runId: second.runId, round: 1, entity: 'account', slice: 0 });
    // What failed stays failed, whatever its document contains.
    await damage(paths.failed(second.runId, 1, 'account'));
    await harness.drain();
    const status = (await runStatus(services, second.runId))!;
    expect(status).toMatchObject({ phase: 'complete', totals: { failed: 1 } });

    org.clock.now += 60_000;
    const third = await harness.start();
    await damage(paths.mergeError(third.runId, 1));
    await failPoisonedRun(services, { runId: third.runId, round: 1 });
    expect(await runStatus(services, third.runId)).toMatchObject({ phase: 'failed' });
    await harness.drain();
    await expectRecovery();
  },
);

it('errors of failed tries are no progress', async () => {
  const { harness, clock } = org;
  const { runId } = await harness.start();
  const { work } = harness.services;
  for (let n = 0; n < 4; n++) {
    clock.now += 86_400_000;
    const outcome = n < 3 ? 'resumed' : 'started';
    expect(await harness.start({ trigger: 'timer' })).toMatchObject({ outcome });
    await work.put(paths.lastError(runId, 1, 'account'), { error: `Try ${n}` });
  }
});

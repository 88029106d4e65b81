import { afterEach, describe, expect, it } from 'vitest';
import { ConfigurationError } from '../../../src/errors.ts';
import { paths } from '../../../src/sync/documents/paths.ts';
import type { RereadRequest } from '../../../src/sync/documents/run.ts';
import { endRun } from '../../../src/sync/run/end-run.ts';
import { runStatus } from '../../../src/sync/run/run-status.ts';
import { Organisation, reportOf } from '../organisation.ts';

let org: Organisation;
afterEach(() => org.stop());

const tables = { account: 'name', lead: 'subject', contact: 'jobtitle' };

/** Three tables, of which each has a value that changed without a new version. */
async function startWithHiddenChanges(): Promise<void> {
  // A table that is compared goes through the queue, so that the run is live once it is planned.
  org = await Organisation.start(['account', { name: 'lead', reconcileEvery: 1 }, 'contact']);
  const ids = Object.entries(tables).map(([table, column]) =>
    org.rows(table, 5, () => ({ [column]: 'old' })),
  );
  // Later rows, so that those that change are in no window that each run reads.
  org.clock.now += 3_600_000;
  for (const table of Object.keys(tables)) org.rows(table, 1);
  await org.sync();
  for (const [at, [table, column]] of Object.entries(tables).entries()) {
    org.store.updateSilently(table, ids[at]![2]!, { [column]: 'new' });
  }
  expect((await org.sync()).totals).toMatchObject({ updated: 0 });
  org.clock.now += 60_000;
}

/** Finishes the live run. @returns how many rows of each table it updated */
async function finish(runId: string): Promise<Record<string, number>> {
  await org.harness.drain();
  const status = (await runStatus(org.harness.services, runId))!;
  expect(status.phase).toBe('complete');
  return Object.fromEntries(status.entities.map(({ name, updated }) => [name, updated]));
}

const all = { account: 1, lead: 1, contact: 1 };

describe('a request to read tables again', () => {
  it.each<[RereadRequest, object]>([
    [['lead'], { account: 0, lead: 1, contact: 0 }],
    [['account', 'contact'], { account: 1, lead: 0, contact: 1 }],
    ['all', all],
  ])('%j compares the values of all their rows, and of no others', async (reread, updated) => {
    await startWithHiddenChanges();
    const { runId } = await org.harness.start({ reread });
    expect(await finish(runId)).toEqual(updated);
    const names = Object.entries(updated).flatMap(([name, count]) => (count > 0 ? name : []));
    await org.expectMirror(...names);
    await org.expectIdle();
  });

  it('of tables whose values are as they were writes nothing, once', async () => {
    org = await Organisation.start(['account', 'lead']);
    org.rows('account', 5);
    org.rows('lead', 5);
    // The first read is of all rows anyway.
    const first = await org.sync({ reread: 'all' });
    expect(reportOf(first, 'lead').rowsRead).toBe(5);
    const again = await org.sync({ reread: 'all' });
    expect(again.totals).toMatchObject({ added: 0, updated: 0, deleted: 0 });
    expect(again.entities.map(({ reread, rowsRead }) => [reread, rowsRead])).toEqual([
      ['on request', 5],
      ['on request', 5],
    ]);
    const after = await org.expectIdle();
    expect(after.entities.map(({ reread }) => reread)).toEqual([undefined, undefined]);
  });

  it('is added to a live run before it is planned', async () => {
    await startWithHiddenChanges();
    const { runId } = await org.harness.startUnplanned({ reread: ['lead'] });
    const resumed = await org.harness.startUnplanned({ reread: ['account'], resume: true });
    expect(resumed).toMatchObject({ runId, outcome: 'resumed' });
    expect(await finish(runId)).toEqual({ account: 1, lead: 1, contact: 0 });
  });

  it.each<[RereadRequest, object]>([
    [['lead'], { account: 0, lead: 1, contact: 0 }],
    ['all', all],
  ])('%j is met in a second round of a live run that is planned', async (reread, updated) => {
    await startWithHiddenChanges();
    const { runId } = await org.harness.start();
    const resumed = await org.harness.startUnplanned({ reread, resume: true });
    expect(resumed).toMatchObject({ runId, outcome: 'resumed' });
    expect(await finish(runId)).toEqual(updated);
    await org.expectIdle();
  });

  it('is rejected once the run is being merged, and while it is live without `resume`', async () => {
    await startWithHiddenChanges();
    const { services } = org.harness;
    const { runId } = await org.harness.start();
    expect(await org.harness.startUnplanned({ reread: 'all' })).toMatchObject({ outcome: 'live' });
    while ((await services.documents.claim(`runs/${runId}/rounds/1/merge.json`)) === undefined) {
      await org.harness.deliver();
    }
    expect(await org.harness.startUnplanned({ reread: 'all', resume: true })).toMatchObject({
      outcome: 'live',
      hint: 'The run is being merged. Send allowMassDelete, dropTables and reread again when it is over.',
    });
    expect(await finish(runId)).toEqual({ account: 0, lead: 0, contact: 0 });
  });

  it('passes from a run that is abandoned to the run that replaces it', async () => {
    await startWithHiddenChanges();
    const { services } = org.harness;
    const { runId } = await org.harness.startUnplanned({ reread: ['lead'] });
    const active = (await services.work.read<object>('active.json'))!;
    await services.work.replaceIfUnchanged('active.json', { ...active.value, format: 1 }, active.etag);
    const next = await org.harness.start({ trigger: 'timer' });
    expect(next.outcome).toBe('started');
    expect(next.runId).not.toBe(runId);
    expect(await finish(next.runId)).toEqual({ account: 0, lead: 1, contact: 0 });
  });

  it('passes from a run that cannot be planned to the run after it', async () => {
    await startWithHiddenChanges();
    const { services } = org.harness;
    const { readEntities } = services;
    services.readEntities = () => {
      throw new ConfigurationError('entities.json is broken.');
    };
    expect((await org.harness.start({ reread: ['lead'] })).error?.message).toMatch(/broken/);
    expect((await org.harness.start({ reread: ['account'] })).error?.message).toMatch(/broken/);
    services.readEntities = readEntities;
    const { runId } = await org.harness.start({ trigger: 'timer' });
    expect(await finish(runId)).toEqual({ account: 1, lead: 1, contact: 0 });
    expect((await org.expectIdle()).entities.map(({ reread }) => reread)).toEqual(Array(3).fill(undefined));
  });

  it('passes from a run whose first merge fails, and survives the start of the next one', async () => {
    await startWithHiddenChanges();
    const { services } = org.harness;
    const { transaction } = services.mirror;
    services.mirror.transaction = () => Promise.reject(new Error('the merge fails'));
    org.store.update('account', org.store.create('account', {}), { name: 'changed' });
    const failed = await org.harness.start({ reread: 'all' });
    await org.harness.drain();
    expect((await runStatus(services, failed.runId))!.phase).toBe('failed');
    services.mirror.transaction = transaction;
    // The start of the next run dies before it has written what the run is to do.
    const { createIfAbsent } = services.work;
    services.work.createIfAbsent = async (name, value) => {
      if (name.endsWith('/run.json')) throw new Error('killed');
      return createIfAbsent.call(services.work, name, value);
    };
    await expect(org.harness.start({ trigger: 'timer' })).rejects.toThrow('killed');
    services.work.createIfAbsent = createIfAbsent;
    const { runId } = await org.harness.start({ trigger: 'timer', resume: true });
    expect(await finish(runId)).toEqual(all);
  });

  it('is not repeated after a run that noted it before it died', async () => {
    await startWithHiddenChanges();
    const { services } = org.harness;
    const { runId } = await org.harness.start({ reread: ['lead'] });
    const { createIfAbsent } = services.work;
    let isMerged = false;
    services.work.createIfAbsent = async (name, value) => {
      await createIfAbsent.call(services.work, name, value);
      isMerged = name.endsWith('/1/merged.json');
      if (isMerged) throw new Error('killed');
      return true;
    };
    while (!isMerged && org.harness.waiting > 0) await org.harness.deliver();
    services.work.createIfAbsent = createIfAbsent;
    await endRun(services, runId, 'failed', { error: 'a test ends it' });
    const next = await org.sync();
    expect(isMerged).toBe(true);
    expect(next.entities.map(({ reread }) => reread)).toEqual(Array(3).fill(undefined));
  });

  it('of an earlier version of the app is met by the first run of the next hour, also if all runs are idle', async () => {
    org = await Organisation.start(['account'], { rows: 30 });
    await org.sync();
    const { work } = org.harness.services;
    await work.put(paths.keptReread, { reread: ['account'] });
    org.clock.now += 3_600_000;
    const status = await org.sync({ trigger: 'timer' });
    expect(reportOf(status, 'account')).toMatchObject({ reread: 'on request', state: 'merged' });
    expect(await work.exists(paths.keptReread)).toBe(false);
  });
});

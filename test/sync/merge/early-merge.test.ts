import { afterEach, describe, expect, it } from 'vitest';
import { runStatus } from '../../../src/sync/run/run-status.ts';
import { Organisation, reportOf } from '../organisation.ts';

let org: Organisation;
afterEach(() => org.stop());

const account = (id: string) => ({ id, table: 'account' });

/** Delivers messages until the mirror has a table. */
async function untilMirrored(table: string): Promise<void> {
  const { harness } = org;
  while (harness.waiting > 0) {
    await harness.deliver();
    const state = await harness.services.mirror.lastState();
    if (state?.entities[table] !== undefined) return;
  }
  throw new Error(`${table} was never mirrored`);
}

/** Delivers messages until the mirror holds a row. */
async function untilHeld(table: string, id: string): Promise<void> {
  const { harness } = org;
  while (harness.waiting > 0) {
    await harness.deliver();
    const rows = await org.query(
      `SELECT count(*) AS n FROM ${table} WHERE ${table.slice(0, -1)}id = '${id}'`,
    );
    if (rows[0]!['n'] === 1) return;
  }
  throw new Error(`${table} never held ${id}`);
}

describe('a table that Dataverse makes wait', () => {
  it('does not keep the others out of the mirror, and continues alone', async () => {
    org = await Organisation.start(['lead', 'contact', { name: 'account', filtered: true }]);
    const ids = org.rows('account', 3);
    org.rows('lead', 4, (n) => ({ _customerid_value: account(ids[n % 2]!) }));
    org.rows('contact', 4, () => ({ _parentcustomerid_value: account(ids[2]!) }));
    // A minute of the queue takes a quarter of a second, as that of the table which waits does.
    org.harness.mergeDelay = 1 / 240;
    const fault = org.dataverse.faults.add({
      kind: '429',
      retryAfter: org.waitInQueue(),
      match: /\/contacts(?!.*top=1)/,
      times: 3,
    });
    const { runId } = await org.harness.start();
    await untilMirrored('lead');
    expect(fault.hits).toBeLessThan(3);
    expect(await org.ids('lead')).toHaveLength(4);
    const live = (await runStatus(org.harness.services, runId))!;
    expect(live.phase).not.toBe('complete');
    expect(live.entities.map(({ name, state }) => [name, state])).toContainEqual(['lead', 'merged']);
    expect(reportOf(live, 'contact').state).not.toBe('merged');
    // Another process resumes the run.
    org.harness.restarted();
    await org.harness.start({ resume: true });
    await org.harness.drain();
    const status = (await runStatus(org.harness.services, runId))!;
    expect(status.phase).toBe('complete');
    expect(fault.hits).toBe(3);
    expect(reportOf(status, 'contact')).toMatchObject({ state: 'merged', added: 4 });
    expect(reportOf(status, 'lead')).toMatchObject({ state: 'merged', added: 4 });
    expect(await org.ids('account')).toEqual([...ids].sort());
    await org.expectMirror('lead', 'contact');
    await org.expectIdle();
  });

  it('leaves ids that were never answered open, so that the next run asks for them', async () => {
    const filtered = (name: string) => ({ name, filtered: true });
    org = await Organisation.start(
      ['lead', filtered('account'), filtered('contact')],
      {},
      { SYNC_MAX_WAIT: '1' },
    );
    await org.sync();
    const [one] = org.rows('account', 1) as [string];
    const [person] = org.rows('contact', 1) as [string];
    org.rows('lead', 1, () => ({ _customerid_value: account(one) }));
    org.rows('lead', 1, () => ({ _customerid_value: { id: person, table: 'contact' } }));
    org.harness.mergeDelay = 1 / 240;
    const fault = org.dataverse.faults.add({
      kind: '429',
      retryAfter: org.waitInQueue(),
      match: ({ path, query }) => path.endsWith('/accounts') && query.includes(one),
      times: 1000,
    });
    const { runId } = await org.harness.start();
    // The round is committed without the table that waits. Now the run might die.
    await untilHeld('contacts', person);
    const { mirror } = org.harness.services;
    expect(await mirror.lastState()).toMatchObject({ closureOpen: true });
    expect((await mirror.lastState())!.entities['account']!.absentIds).toBeUndefined();
    // Longer than `SYNC_MAX_WAIT`.
    org.clock.now += 60_000;
    await org.harness.drain();
    const status = (await runStatus(org.harness.services, runId))!;
    expect(reportOf(status, 'account').state).toBe('failed');
    expect(await mirror.lastState()).toMatchObject({ closureOpen: true });
    fault.remove();
    await org.sync();
    await org.expectMirror('lead', 'account', 'contact');
    await org.expectIdle();
  });

  it('keeps what a person allows from a run whose other tables are merged', async () => {
    org = await Organisation.start(['lead', 'contact']);
    org.rows('lead', 4);
    org.rows('contact', 4);
    org.harness.mergeDelay = 1 / 240;
    org.dataverse.faults.add({
      kind: '429',
      retryAfter: org.waitInQueue(),
      match: /\/contacts(?!.*top=1)/,
      times: 3,
    });
    const { runId } = await org.harness.start();
    await untilMirrored('lead');
    const request = { resume: true, allowMassDelete: ['lead'] };
    expect(await org.harness.startUnplanned(request)).toMatchObject({
      runId,
      outcome: 'live',
      hint: expect.stringContaining('The run is being merged.'),
    });
    expect((await org.harness.services.documents.run(runId))?.allowMassDelete ?? []).toEqual([]);
    await org.harness.drain();
  });

  it('may refer to an id that was absent before: the next run asks for it', async () => {
    const late = '00000000-0000-4000-8000-00000000dead';
    org = await Organisation.start(['lead', 'contact', { name: 'account', filtered: true }]);
    await org.sync();
    org.rows('lead', 1, () => ({ _customerid_value: account(late) }));
    org.harness.mergeDelay = 1 / 240;
    const fault = org.dataverse.faults.add({
      kind: '429',
      retryAfter: org.waitInQueue(),
      match: /\/contacts(?!.*top=1)/,
      times: 1000,
    });
    const { runId } = await org.harness.start();
    const { mirror } = org.harness.services;
    const isAsked = async () => (await mirror.lastState())!.entities['account']!.absentIds !== undefined;
    while (org.harness.waiting > 0 && !(await isAsked())) await org.harness.deliver();
    expect(await isAsked()).toBe(true);
    org.store.create('account', { accountid: late });
    org.rows('contact', 1, () => ({ _parentcustomerid_value: account(late) }));
    fault.remove();
    await org.harness.drain();
    expect(reportOf((await runStatus(org.harness.services, runId))!, 'contact')).toMatchObject({ added: 1 });
    // Also if nothing else changes until then.
    expect((await mirror.lastState())!.entities['account']!.absentIds!.againAt).toBeDefined();
    await org.sync();
    expect(await org.ids('account')).toEqual([late]);
    await org.expectIdle();
  });

  it('leaves the others committed when it fails in the end', async () => {
    org = await Organisation.start(['lead', 'contact'], {}, { SYNC_MAX_WAIT: '1' });
    org.rows('lead', 4);
    org.rows('contact', 4);
    await org.sync();
    org.store.create('lead', {});
    org.harness.mergeDelay = 1 / 240;
    const fault = org.dataverse.faults.add({
      kind: '429',
      retryAfter: org.waitInQueue(),
      match: /\/contacts(?!.*top=1)/,
      times: 1000,
    });
    const { runId } = await org.harness.start();
    await org.harness.drain();
    const status = (await runStatus(org.harness.services, runId))!;
    expect(status.phase).toBe('complete');
    expect(reportOf(status, 'contact')).toMatchObject({ state: 'failed' });
    expect(reportOf(status, 'lead')).toMatchObject({ state: 'merged', added: 1 });
    fault.remove();
    await org.sync();
    await org.expectMirror('lead', 'contact');
  });
});

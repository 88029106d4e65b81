import { afterEach, describe, expect, it } from 'vitest';
import { Organisation, reportOf } from '../organisation.ts';

let org: Organisation;
afterEach(() => org.stop());

const reason = 'a test asks for it';

/** Has the next merge find that these tables are to be read again. */
function requestInNextMerge(...names: string[]): void {
  const { mirror } = org.harness.services;
  const { transaction } = mirror;
  mirror.transaction = (options, work) => {
    mirror.transaction = transaction;
    return mirror.transaction(options, (merge) => {
      for (const name of names) {
        merge.state.entities[name] = { ...merge.state.entities[name]!, reread: reason };
      }
      return work(merge);
    });
  };
}

async function pendingRereads(): Promise<string[]> {
  const { state } = await org.harness.services.mirror.loadState();
  return Object.values(state.entities).flatMap(({ reread }) => reread ?? []);
}

const tables = {
  delta: { table: 'account', column: 'name', options: {} },
  modifiedon: { table: 'lead', column: 'subject', options: { reconcileEvery: 0 } },
  full: { table: 'lead', column: 'subject', options: { strategy: 'full' } },
};

describe.each(Object.entries(tables))(
  'a table with the strategy %s',
  (strategy, { table, column, options }) => {
    it('is read again in full in the next round of the run that finds the reason', async () => {
      org = await Organisation.start([{ name: table, history: true, ...options }]);
      const ids = org.rows(table, 6, () => ({ [column]: 'old' }));
      await org.sync();
      org.store.updateSilently(table, ids[1]!, { [column]: 'new' });
      org.store.update(table, ids[0]!, { [column]: 'changed' });
      requestInNextMerge(table);
      const status = await org.sync();
      const report = reportOf(status, table);
      expect(report).toMatchObject({ state: 'merged', strategy, reread: reason });
      expect(report.reason).toContain(`all rows are read again: ${reason}`);
      expect(status.totals.updated).toBe(2);
      await org.expectMirror(table);
      expect(await pendingRereads()).toEqual([]);
      await org.expectSound();
      await org.expectIdle();
    });
  },
);

describe('a request to read a table again', () => {
  it('reads the rows of a filtered table again, and those that other rows need', async () => {
    org = await Organisation.start(['contact', { name: 'account', filtered: true }]);
    const accounts = org.rows('account', 3, () => ({ name: 'old' }));
    const refer = (n: number) => ({ _parentcustomerid_value: { id: accounts[n]!, table: 'account' } });
    org.rows('contact', 1, () => refer(0));
    await org.sync();
    org.store.updateSilently('account', accounts[0]!, { name: 'new' });
    org.rows('contact', 1, () => refer(1));
    requestInNextMerge('account');
    await org.sync();
    const names = await org.query('SELECT name FROM accounts ORDER BY 1');
    expect(names).toEqual([{ name: 'new' }, { name: 'old' }]);
    expect(await pendingRereads()).toEqual([]);
    await org.expectIdle();
  });

  it('is met once in a run, and again in the next run if the run dies before', async () => {
    org = await Organisation.start(['account', 'lead']);
    const [account] = org.rows('account', 6, () => ({ name: 'old' }));
    const [lead] = org.rows('lead', 6);
    await org.sync();
    org.store.updateSilently('account', account!, { name: 'new' });
    org.store.update('lead', lead!, { subject: 'changed' });
    requestInNextMerge('account');
    const { harness } = org;
    org.clock.now += 60_000;
    const first = await harness.start();
    while ((await harness.services.documents.plan(first.runId, 2)) === undefined) await harness.deliver();
    // The process and its messages are lost, and so are the documents of the run.
    await harness.services.work.deletePrefix('');
    harness.restarted();
    const kept = [...(await pendingRereads())];
    expect(kept).toEqual([reason]);
    const status = await org.sync();
    expect(status.runId).not.toBe(first.runId);
    expect(reportOf(status, 'account')).toMatchObject({ reread: reason, updated: 1 });
    expect(reportOf(status, 'lead').reread).toBeUndefined();
    await org.expectMirror('account', 'lead');
    expect(await pendingRereads()).toEqual([]);
    await org.expectIdle();
  });

  it('is not met twice by a merge that is repeated, nor by a second delivery', async () => {
    org = await Organisation.start(['account']);
    const [id] = org.rows('account', 6, () => ({ name: 'old' }));
    await org.sync();
    org.store.update('account', id!, { name: 'changed' });
    requestInNextMerge('account');
    const { harness } = org;
    const { createIfAbsent } = harness.services.work;
    let isLost = false;
    harness.services.work.createIfAbsent = async (name, value) => {
      if (name.endsWith('/1/merged.json') && !isLost) {
        isLost = true;
        throw new Error('the process dies after the commit');
      }
      return createIfAbsent.call(harness.services.work, name, value);
    };
    const status = await org.sync();
    expect(isLost).toBe(true);
    expect(reportOf(status, 'account')).toMatchObject({ reread: reason, updated: 1, rowsRead: 7 });
    expect(await pendingRereads()).toEqual([]);
    await org.expectMirror('account');
  });

  it('stays until the table can be read', async () => {
    org = await Organisation.start(['account', 'lead']);
    const [account] = org.rows('account', 6, () => ({ name: 'old' }));
    const [lead] = org.rows('lead', 2);
    await org.sync();
    org.store.updateSilently('account', account!, { name: 'new' });
    org.store.update('lead', lead!, { subject: 'changed' });
    const fault = org.dataverse.faults.add({
      kind: 'error',
      status: 403,
      code: '0x80040220',
      message: 'No access.',
      match: /\/accounts/,
      times: 1000,
    });
    requestInNextMerge('account');
    const failed = reportOf(await org.sync(), 'account');
    expect(failed.state).toBe('failed');
    expect(reportOf(await org.sync(), 'account').state).toBe('failed');
    expect(await pendingRereads()).toEqual([reason]);
    fault.remove();
    expect(reportOf(await org.sync(), 'account')).toMatchObject({ state: 'merged', updated: 1 });
    expect(await pendingRereads()).toEqual([]);
    await org.expectMirror('account', 'lead');
    await org.expectIdle();
  });
});

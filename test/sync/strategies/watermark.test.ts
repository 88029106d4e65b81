import { afterEach, describe, expect, it } from 'vitest';
import { runStatus } from '../../../src/sync/run/run-status.ts';
import { Organisation, reportOf } from '../organisation.ts';

let org: Organisation;
afterEach(() => org.stop());

/** Calls back when Dataverse gets the request for a page of whole leads: 1 for the first page of a read. */
function beforePage(then: (page: number) => void): void {
  let page = 0;
  org.dataverse.faults.add({
    kind: 'error',
    match: ({ path, query }) => {
      if (!path.endsWith('/leads') || query.includes('$select=leadid')) return false;
      page = query.includes('skiptoken') ? page + 1 : 1;
      then(page);
      return false;
    },
  });
}

describe.each([0, 1, 10])('with reconcileEvery %i', (reconcileEvery) => {
  it('a change behind a reader that takes minutes is in the mirror after the next run', async () => {
    org = await Organisation.start([{ name: 'lead', reconcileEvery }], {}, { DATAVERSE_PAGE_SIZE: '10' });
    org.rows('lead', 40);
    const inOrder = [...org.store.truth('lead').keys()].sort();
    await org.sync();
    for (const id of inOrder) org.store.update('lead', id, { subject: 'all rows change' });
    let isOver = false;
    beforePage((page) => {
      if (isOver || page === 1) return;
      org.clock.now += 300_000;
      // Every row changes once in each interval, so some changes are behind the reader, some before it.
      for (const id of inOrder) org.store.update('lead', id, { subject: `changed before page ${page}` });
      isOver = page === 4;
    });
    await org.sync();
    expect(isOver).toBe(true);
    await org.sync();
    await org.expectMirror('lead');
    await org.expectIdle();
  });

  it('a row dated in the future hides no later change', async () => {
    org = await Organisation.start([{ name: 'lead', reconcileEvery }]);
    const ids = org.rows('lead', 3);
    org.store.update('lead', ids[0]!, { modifiedon: '2099-01-01T00:00:00Z' });
    await org.sync();
    org.store.update('lead', ids[1]!, { subject: 'changed' });
    await org.sync();
    await org.expectMirror('lead');
    await org.expectIdle();
  });

  it('a row dated in the future does not have the database opened in each run', async () => {
    org = await Organisation.start([{ name: 'lead', reconcileEvery }]);
    const ids = org.rows('lead', 3);
    org.store.update('lead', ids[0]!, { modifiedon: '2099-01-01T00:00:00Z' });
    await org.sync();
    await org.sync();
    const { mirror } = org.harness.services;
    let opened = 0;
    const transaction = mirror.transaction.bind(mirror);
    mirror.transaction = (...args) => {
      opened += 1;
      return transaction(...args);
    };
    await org.sync();
    await org.sync();
    expect(opened).toBe(0);
  });

  it('changes that were dated back are in the mirror within a day', async () => {
    org = await Organisation.start([{ name: 'lead', reconcileEvery }]);
    const ids = org.rows('lead', 25);
    await org.sync();
    org.store.update('lead', ids[0]!, { subject: 'imported', modifiedon: '2020-01-01T00:00:00Z' });
    org.store.delete('lead', ids[1]!);
    org.store.create('lead', { subject: 'imported', modifiedon: '2019-01-01T00:00:00Z' });
    org.clock.now += 86_400_000;
    await org.sync();
    await org.expectMirror('lead');
    await org.expectIdle();
  });
});

it('rows that are read by id do not move the watermark past changes that were not read', async () => {
  org = await Organisation.start(
    [{ name: 'lead', reconcileEvery: 2 }],
    {},
    { DATAVERSE_PAGE_SIZE: '10', SYNC_VERIFY_HOURS: '0' },
  );
  org.rows('lead', 20);
  const inOrder = [...org.store.truth('lead').keys()].sort();
  await org.sync();
  await org.sync();
  // Found by its key, then read by id a long time after the read began.
  org.store.update('lead', inOrder[0]!, { subject: 'imported', modifiedon: '2020-01-01T00:00:00Z' });
  let isOver = false;
  org.dataverse.faults.add({
    kind: 'error',
    match: ({ path, query }) => {
      if (isOver || !path.endsWith('/leads') || !decodeURIComponent(query).includes('PropertyValues'))
        return false;
      isOver = true;
      org.store.update('lead', inOrder[1]!, { subject: 'changed meanwhile' });
      org.clock.now += 3_600_000;
      org.store.update('lead', inOrder[0]!, { subject: 'changed again' });
      return false;
    },
  });
  expect(reportOf(await org.sync(), 'lead')).toMatchObject({ updated: 1 });
  expect(isOver).toBe(true);
  await org.sync();
  await org.expectMirror('lead');
});

describe.each(['never', 'zzzz', '9999-99-99T00:00:00Z', 'Foo 1', '275760-01-01T00:00:00Z'])(
  'a modifiedon of %s',
  (modifiedon) => {
    it('fails its table with a hint in one try, and no other', async () => {
      org = await Organisation.start([{ name: 'lead', strategy: 'modifiedon' }, 'account']);
      const [id] = org.rows('lead', 5) as [string];
      org.rows('account', 5);
      await org.sync();
      org.store.update('lead', id, { subject: 'x', modifiedon });
      org.store.create('account', {});
      const { runId } = await org.harness.start();
      while (org.harness.waiting > 0) expect(await org.harness.deliver()).toBeUndefined();
      const status = (await runStatus(org.harness.services, runId))!;
      expect(status.phase).toBe('complete');
      expect(reportOf(status, 'account')).toMatchObject({ state: 'merged', added: 1 });
      expect(reportOf(status, 'lead')).toMatchObject({
        state: 'failed',
        error: expect.stringContaining('not a time'),
        hint: expect.stringContaining('"strategy": "full"'),
      });
      org.harness.configure([{ name: 'lead', strategy: 'full' }, 'account']);
      await org.sync();
      await org.expectMirror('lead', 'account');
    });
  },
);

import { afterEach, describe, expect, it } from 'vitest';
import { Organisation, reportOf } from '../organisation.ts';
import { addColumn, dropColumn, retypeColumn } from '../schema-drift.ts';

let org: Organisation;
afterEach(() => org.stop());

describe('the strategy', () => {
  it('follows from the metadata, with its reason', async () => {
    org = await Organisation.start([
      ...['account', 'lead', 'new_shipmentline', 'accountleads', 'new_account_new_campaign'],
      { name: 'contact', strategy: 'full' },
      { name: 'new_box', strategy: 'delta' },
      { name: 'systemuser', filtered: true },
    ]);
    const { entities } = await org.sync();
    expect(entities.map(({ name, strategy, reason }) => [name, strategy, reason])).toEqual([
      ['account', 'delta', 'change tracking is on'],
      ['lead', 'modifiedon', 'change tracking is off'],
      ['new_shipmentline', 'full', 'change tracking is off and the table has no modifiedon column'],
      ['accountleads', 'full', 'change tracking is off and the table has no modifiedon column'],
      ['new_account_new_campaign', 'delta', 'change tracking is on'],
      ['contact', 'full', 'configured'],
      ['new_box', 'modifiedon', 'change tracking is off'],
      ['systemuser', 'filtered', 'filtered: only rows that others refer to'],
    ]);
  });

  it('falls back if change tracking is refused, and tries it again after a day', async () => {
    org = await Organisation.start([{ name: 'account', reconcileEvery: 10 }, 'new_account_new_campaign']);
    const ids = org.rows('account', 4);
    const [campaign] = org.rows('new_campaign', 1) as [string];
    await org.sync();
    org.store.withoutOrganizationRead.add('account').add('new_account_new_campaign');
    org.store.update('account', ids[0]!, { name: 'changed' });
    // Dated back, so that no modifiedon query finds it.
    org.store.update('account', ids[1]!, { name: 'imported', modifiedon: '2020-01-01T00:00:00Z' });
    org.store.delete('account', ids[2]!);
    org.store.associate('new_account_new_campaign', ids[0]!, campaign);
    const refused = await org.sync();
    expect(reportOf(refused, 'account')).toMatchObject({ strategy: 'modifiedon', deleted: 1 });
    expect(reportOf(refused, 'account').reason).toMatch(/privilege|0x80040220/);
    expect(reportOf(refused, 'new_account_new_campaign')).toMatchObject({ strategy: 'full', added: 1 });
    await org.expectMirror('account', 'new_account_new_campaign');
    const next = await org.expectIdle();
    expect(reportOf(next, 'account').reason).toMatch(/tried again after 2026-11-22/);
    org.store.withoutOrganizationRead.clear();
    org.clock.now += 86_400_000;
    expect(reportOf(await org.sync(), 'account').strategy).toBe('delta');
    org.store.delete('account', ids[3]!);
    expect(reportOf(await org.sync(), 'account')).toMatchObject({ strategy: 'delta', deleted: 1 });
    await org.expectMirror('account', 'new_account_new_campaign');
    await org.expectIdle();
  });

  it('falls back if the service refuses change tracking that the metadata promise', async () => {
    org = await Organisation.start(['account']);
    org.rows('account', 3);
    org.dataverse.faults.add({
      kind: 'error',
      status: 400,
      code: '0x80072491',
      message: "Entity account isn't enabled for change tracking.",
      match: (request) => request.path.endsWith('/accounts') && request.query === '',
      times: 1,
    });
    const report = reportOf(await org.sync(), 'account');
    expect(report).toMatchObject({ strategy: 'modifiedon', added: 3 });
    expect(report.reason).toMatch(/isn't enabled/);
    await org.expectMirror('account');
    await org.expectIdle();
  });

  it('starts over if a delta link expires between two of its pages', async () => {
    org = await Organisation.start(['account'], {}, { DATAVERSE_PAGE_SIZE: '2', SYNC_SLICE_MB: '0.001' });
    const ids = org.rows('account', 9);
    await org.sync();
    for (const id of ids) org.store.update('account', id, { name: 'changed' });
    org.store.delete('account', ids[8]!);
    org.dataverse.faults.add({ kind: 'expired-token', match: /deltatoken/, after: 2 });
    const report = reportOf(await org.sync(), 'account');
    expect(report).toMatchObject({ strategy: 'delta', updated: 8, deleted: 1 });
    expect(report.reason).toMatch(/expired/);
    await org.expectMirror('account');
    await org.expectIdle();
  });

  it('finds by modifiedon rows of the same second as rows that were read before', async () => {
    org = await Organisation.start(['lead'], {}, { SYNC_OVERLAP_SECONDS: '0', SYNC_RECONCILE_EVERY: '0' });
    const ids = org.rows('lead', 3);
    org.clock.now -= 60_000;
    await org.sync();
    org.rows('lead', 2);
    org.store.update('lead', ids[0]!, { subject: 'in the same second' });
    org.clock.now -= 60_000;
    const report = reportOf(await org.sync(), 'lead');
    expect(report).toMatchObject({ added: 2, updated: 1 });
    await org.expectMirror('lead');
    await org.expectIdle();
  });

  it('compares all keys every reconcileEvery runs, and finds changes dated back', async () => {
    org = await Organisation.start([{ name: 'lead', reconcileEvery: 3 }]);
    const ids = org.rows('lead', 5);
    org.clock.now += 86_400_000;
    await org.sync();
    org.store.update('lead', ids[0]!, { subject: 'imported', modifiedon: '2020-01-01T00:00:00Z' });
    org.store.delete('lead', ids[1]!);
    expect((await org.sync()).totals).toMatchObject({ updated: 0, deleted: 0 });
    expect((await org.sync()).totals).toMatchObject({ updated: 0, deleted: 0 });
    expect((await org.sync()).totals).toMatchObject({ updated: 1, deleted: 1 });
    await org.expectMirror('lead');
  });
});

describe('an idle run', () => {
  it('sends one request for each tracked table and one for the metadata, and moves no byte of the database', async () => {
    const tracked = ['account', 'contact', 'systemuser', 'team', 'teammembership', 'new_campaign'];
    org = await Organisation.start(tracked, { rows: 400 });
    await org.sync();
    const { databaseFile } = org.harness.storage;
    org.harness.restarted();
    let moved = 0;
    for (const step of ['open', 'commit'] as const) {
      const real = databaseFile[step].bind(databaseFile) as (...args: unknown[]) => Promise<never>;
      (databaseFile as unknown as Record<string, unknown>)[step] = (...args: unknown[]) => {
        moved += 1;
        return real(...args);
      };
    }
    const before = org.dataverse.stats.requests;
    const status = await org.expectIdle();
    expect(org.dataverse.stats.requests - before).toBeLessThanOrEqual(tracked.length + 1);
    expect(moved).toBe(0);
    expect(status.totals.requests).toBe(tracked.length);
    expect(status.database).toMatchObject({ stagedBlocks: 0, stagedBytes: 0 });
  });

  it('reads the metadata document only if its version changed', async () => {
    org = await Organisation.start(['account'], { rows: 50 });
    await org.sync();
    let documents = 0;
    const { services } = org.harness;
    const { dataverse } = services;
    services.dataverse = {
      ...dataverse,
      readMetadataDocument: (...args) => {
        documents += 1;
        return dataverse.readMetadataDocument(...args);
      },
    };
    await org.expectIdle();
    expect(documents).toBe(0);
    org.store.schemaChanged();
    await org.sync();
    expect(documents).toBe(1);
  });

  it('is recognised after a read that showed a row on two pages', async () => {
    org = await Organisation.start(
      ['lead', { name: 'contact', strategy: 'full' }],
      { rows: 300 },
      { DATAVERSE_PAGE_SIZE: '10' },
    );
    const faults = ['leads', 'contacts'].map((set) =>
      org.dataverse.faults.add({ kind: 'repeat-row', match: new RegExp(`/${set}\\?.*skiptoken`) }),
    );
    await org.sync();
    expect(faults.map((fault) => fault.hits)).toEqual([1, 1]);
    await org.expectMirror('lead', 'contact');
    await org.expectIdle();
  });

  it('is idle with every strategy and option at once', async () => {
    org = await Organisation.start(
      [
        { name: 'account', history: true, deletes: 'mark', rawJson: true },
        { name: 'lead', history: true, deletes: 'mark', rawJson: true },
        { name: 'new_shipmentline', history: true },
        { name: 'contact', strategy: 'full', history: true },
        { name: 'systemuser', filtered: true, history: true, deletes: 'mark', rawJson: true },
        'accountleads',
      ],
      { rows: 600 },
      { DATAVERSE_PAGE_SIZE: '40', SYNC_SLICE_MB: '0.02' },
    );
    await org.sync();
    await org.expectIdle();
    await org.expectIdle();
    await org.expectMirror('account', 'lead', 'new_shipmentline', 'contact', 'accountleads');
  });
});

describe('values that change without a new row version', () => {
  /** Gives all rows another value of a column, as Dataverse does for a calculated one. */
  const compute = (table: string, value: number): void =>
    retypeColumn(org.store, table, 'new_total', 'int', () => value);

  it.each([
    ['lead', { strategy: 'full' }],
    ['lead', {}],
    ['new_shipmentline', { history: true }],
  ])('are stored by a read that returns them (%s %o)', async (name, options) => {
    org = await Organisation.start([{ name, ...options }]);
    org.rows(name, 4);
    addColumn(org.store, name, 'new_total', 'int', () => 0);
    await org.sync();
    await org.expectIdle();
    for (const value of [1, 2]) {
      compute(name, value);
      expect(reportOf(await org.sync(), name)).toMatchObject({ updated: 4 });
      await org.expectMirror(name);
      await org.expectIdle();
    }
  });

  it('are stored when a tracked table is read in full, and when it is tracked again', async () => {
    org = await Organisation.start(['account']);
    org.rows('account', 4);
    addColumn(org.store, 'account', 'new_total', 'int', () => 0);
    await org.sync();
    compute('account', 1);
    org.harness.configure([{ name: 'account', strategy: 'full' }]);
    await org.sync();
    await org.expectMirror('account');
    compute('account', 2);
    org.harness.configure(['account']);
    await org.sync();
    await org.expectMirror('account');
    await org.expectIdle();
  });

  it('are stored when a column is created again', async () => {
    org = await Organisation.start(['account', 'lead', { name: 'contact', strategy: 'full' }]);
    const tables = ['account', 'lead', 'contact'];
    for (const table of tables) org.rows(table, 3);
    for (const table of tables) addColumn(org.store, table, 'new_rating', 'int', () => 1);
    await org.sync();
    for (const table of tables) dropColumn(org.store, table, 'new_rating');
    await org.sync();
    for (const table of tables) addColumn(org.store, table, 'new_rating', 'int', () => 2);
    await org.sync();
    await org.expectMirror(...tables);
    await org.expectIdle();
  });
});

import { afterEach, describe, expect, it } from 'vitest';
import type { RowValues } from '../../../src/local/sample-dataverse/index.ts';
import { Organisation, reportOf } from '../organisation.ts';

let org: Organisation;
afterEach(() => org.stop());

const day = 86_400_000;

/** Puts a row into Dataverse, or other values and another version into a row, so that no change shows. */
function putSilently(table: string, id: string, values: RowValues, versionStep: bigint): void {
  const model = org.store.table(table);
  const rows = org.store.rowsOf(model);
  const old = rows.get(id)!;
  const version = old.version + versionStep;
  const changed: RowValues = { ...values, versionnumber: version };
  const now = model.columns.map(({ name }, at) =>
    name in changed ? changed[name]! : (old.values[at] ?? null),
  );
  rows.put({ ...old, version, values: now });
}

/** A row that was created before the last sync and that no later read shows as a change. */
function createSilently(table: string, values: RowValues): string {
  const id = org.store.create(table, values);
  putSilently(table, id, { modifiedon: '2020-01-01T00:00:00Z' }, 1n - org.store.version);
  return id;
}

/** A row that is gone, and that no delta names. */
function deleteSilently(table: string, id: string): void {
  org.store.rowsOf(org.store.table(table)).remove(id);
}

/** Loses two changes, a delete and an insert. */
function loseFour(table: string, column: string, ids: readonly string[]): void {
  const modifiedon = '2019-01-01T00:00:00Z';
  putSilently(table, ids[0]!, { [column]: 'written and not named', modifiedon }, 1n);
  putSilently(table, ids[1]!, { [column]: 'written twice and not named', modifiedon }, 2n);
  deleteSilently(table, ids[2]!);
  createSilently(table, { [column]: 'created and not named' });
}

async function requestsOf(work: () => Promise<unknown>): Promise<number> {
  const before = org.dataverse.stats.requests;
  await work();
  return org.dataverse.stats.requests - before;
}

describe.each([
  ['account', 'name', { history: true }, 4],
  // Deletes are ordinary changes there: nothing else finds them.
  ['lead', 'subject', { history: true, reconcileEvery: 0 }, 3],
])('the verification of %s', (name, column, options, corrected) => {
  it('finds within verifyHours what was lost silently, and not before', async () => {
    org = await Organisation.start([{ name, ...options }], {}, { DATAVERSE_PAGE_SIZE: '10' });
    const ids = org.rows(name, 30, (index) => ({ [column]: `row ${index}` }));
    await org.sync();
    const idle = await requestsOf(() => org.expectIdle());
    loseFour(name, column, ids);
    org.clock.now += (day * 3) / 4 - 120_000 - 60_000;
    expect(await requestsOf(() => org.expectIdle())).toBe(idle);
    org.clock.now += day / 4;
    const report = reportOf(await org.sync(), name);
    expect(report).toMatchObject({ updated: 2, added: 1, deleted: 1, verified: 30, corrected });
    expect(report.reason).toContain(`${corrected} rows differed`);
    expect(org.harness.log.filter(({ message }) => message.includes('differed from those of'))).toMatchObject(
      [{ level: 'info', properties: { entity: name, verified: 30, corrected } }],
    );
    await org.expectMirror(name);
    await org.expectSound();
    const set = org.store.table(name).entitySetName!;
    expect(
      await org.query(
        `SELECT count(*) AS n FROM ${set}_history WHERE ${column} LIKE 'row %' AND valid_to NOT NULL`,
      ),
    ).toEqual([{ n: 3 }]);
    expect(await requestsOf(() => org.expectIdle())).toBe(idle);
  });

  it('that finds nothing costs one request per page, and opens the database only if rows changed since the last one', async () => {
    org = await Organisation.start([{ name, ...options }], {}, { DATAVERSE_PAGE_SIZE: '10' });
    const ids = org.rows(name, 25);
    await org.sync();
    const idle = await requestsOf(() => org.expectIdle());
    org.clock.now += day;
    expect(await requestsOf(() => org.expectIdle())).toBe(idle + 3);
    org.store.update(name, ids[0]!, { [column]: 'changed' });
    await org.sync();
    org.clock.now += day;
    const first = await org.expectIdle();
    expect(reportOf(first, name)).toMatchObject({ verified: 25 });
    expect(reportOf(first, name)).not.toHaveProperty('corrected');
    const { mirror } = org.harness.services;
    const { transaction } = mirror;
    mirror.transaction = () => Promise.reject(new Error('the database was opened'));
    org.clock.now += day;
    await org.expectIdle();
    mirror.transaction = transaction;
    await org.expectMirror(name);
  });

  it('holds back a mass delete, compares again, and deletes on request', async () => {
    org = await Organisation.start([{ name, ...options, deletes: 'mark' }]);
    const ids = org.rows(name, 30);
    await org.sync();
    for (const id of ids.slice(0, 20)) deleteSilently(name, id);
    org.clock.now += day;
    for (let run = 0; run < 2; run++) {
      const report = reportOf(await org.sync(), name);
      expect(report).toMatchObject({ deleted: 0, error: expect.stringContaining('20 of 30 rows') });
    }
    org.store.update(name, ids[25]!, { [column]: 'changed' });
    const allowed = await org.sync({ allowMassDelete: [name] });
    expect(reportOf(allowed, name)).toMatchObject({ deleted: 20, updated: 1 });
    await org.expectMirror(name);
    expect(await org.query('SELECT count(*) AS n FROM _sync_deleted')).toEqual([{ n: 20 }]);
    await org.expectSound();
    await org.expectIdle();
  });

  it('is complete after the process died between its parts', async () => {
    const settings = { DATAVERSE_PAGE_SIZE: '5', SYNC_SLICE_MB: '0.001' };
    org = await Organisation.start([{ name, ...options }], {}, settings);
    const ids = org.rows(name, 30, (index) => ({ [column]: `row ${index}` }));
    await org.sync();
    for (let delivered = 2; delivered < 14; delivered += 5) {
      org.clock.now += day;
      const [first, second, third, fourth] = [...org.store.truth(name).keys()] as [
        string,
        string,
        string,
        string,
      ];
      org.store.update(name, fourth, { [column]: `changed before ${delivered}` });
      org.store.delete(name, ids.pop()!);
      loseFour(name, column, [first, second, third]);
      await org.harness.start();
      for (let n = 0; n < delivered && org.harness.waiting > 0; n++) await org.harness.deliver();
      org.harness.restarted();
      const { runId } = await org.harness.start({ resume: true });
      await org.harness.drain();
      expect(await org.harness.services.documents.run(runId)).toMatchObject({ phase: 'complete' });
      await org.expectMirror(name);
      await org.expectSound();
      await org.expectIdle();
    }
  });

  it('brings back a row whose version went back', async () => {
    org = await Organisation.start([{ name, ...options }]);
    const ids = org.rows(name, 5, (index) => ({ [column]: `row ${index}` }));
    await org.sync();
    putSilently(name, ids[3]!, { [column]: 'restored', modifiedon: '2019-01-01T00:00:00Z' }, -1n);
    org.clock.now += day;
    expect(reportOf(await org.sync(), name)).toMatchObject({ updated: 1, corrected: 1 });
    await org.expectMirror(name);
    await org.expectSound();
    await org.expectIdle();
  });

  it('finds rows that are dated in the future, and changes by a skewed clock', async () => {
    org = await Organisation.start([{ name, ...options }]);
    const ids = org.rows(name, 5);
    await org.sync();
    putSilently(name, ids[0]!, { [column]: 'from the future', modifiedon: '2099-01-01T00:00:00Z' }, 2n);
    putSilently(name, ids[1]!, { [column]: 'by another clock', modifiedon: '2026-11-20T00:00:00Z' }, 1n);
    org.clock.now += day;
    await org.sync();
    await org.expectMirror(name);
    await org.expectIdle();
  });
});

it('follows the option verifyHours of the table, and never comes with 0', async () => {
  org = await Organisation.start([
    { name: 'account', verifyHours: 1 },
    { name: 'contact', verifyHours: 0 },
    { name: 'lead', reconcileEvery: 0, verifyHours: 0 },
  ]);
  const tables = ['account', 'contact', 'lead'];
  const ids = new Map(tables.map((name) => [name, org.rows(name, 5)]));
  await org.sync();
  for (const name of tables) deleteSilently(name, ids.get(name)![0]!);
  org.clock.now += 3_600_000;
  await org.sync();
  await org.expectMirror('account');
  expect(await org.ids('contact')).toHaveLength(5);
  org.clock.now += 4 * day;
  await org.sync();
  expect(await org.ids('contact')).toHaveLength(5);
  expect(await org.ids('lead')).toHaveLength(5);
});

it('believes a sweep rather than an earlier tombstone, and reads the row again', async () => {
  org = await Organisation.start([{ name: 'account', history: true, verifyHours: 1 }]);
  const ids = org.rows('account', 5, (index) => ({ name: `row ${index}` }));
  await org.sync();
  const table = org.store.table('account');
  const row = org.store.rowsOf(table).get(ids[0]!)!;
  org.store.delete('account', ids[0]!);
  // The row is restored after the delta named it, and before the keys are read.
  org.dataverse.faults.add({
    kind: 'error',
    match: ({ path, query }) => {
      if (path.endsWith('/accounts') && query.includes('$select=accountid&$orderby'))
        org.store.rowsOf(table).put(row);
      return false;
    },
  });
  org.clock.now += 3_600_000;
  expect(reportOf(await org.sync(), 'account')).toMatchObject({
    deleted: 0,
    updated: 0,
    added: 0,
    corrected: 1,
  });
  await org.expectMirror('account');
  expect(await org.query('SELECT * FROM _sync_deleted')).toEqual([]);
  await org.expectSound();
});

describe.each([
  ['account', 'name', {}],
  ['lead', 'subject', { reconcileEvery: 0 }],
  ['lead', 'subject', {}],
])('a comparison of %s (%s, %o) that cannot be read', (name, column, options) => {
  it('does not keep changes out of the mirror, is reported until it succeeds, and is tried again after an hour', async () => {
    org = await Organisation.start([{ name, ...options }]);
    const ids = org.rows(name, 5);
    await org.sync();
    const keys = `$select=${name}id`;
    const fault = org.dataverse.faults.add({
      kind: 'sql-timeout',
      match: ({ path, query }) =>
        path.endsWith(`/${name}s`) &&
        !/deltatoken|top=1|ge 20|PropertyValues/.test(decodeURIComponent(query)) &&
        (query.includes(keys) || !query.includes('$select')),
      times: 1e6,
    });
    org.clock.now += day;
    for (let run = 0; run < 3; run++) {
      org.store.update(name, ids[run]!, { [column]: `change ${run}` });
      const hits = fault.hits;
      const report = reportOf(await org.sync(), name);
      expect(report).toMatchObject({
        state: 'merged',
        updated: 1,
        error: expect.stringContaining('could not be compared'),
        hint: expect.stringContaining('tried again every hour'),
      });
      // It costs its retries once.
      expect(fault.hits > hits).toBe(run === 0);
    }
    const idle = await org.sync();
    expect(reportOf(idle, name)).toMatchObject({
      updated: 0,
      error: expect.stringContaining('could not be compared'),
    });
    org.dataverse.faults.clear();
    deleteSilently(name, ids[4]!);
    org.clock.now += 3_600_000;
    const report = reportOf(await org.sync(), name);
    expect(report).toMatchObject({ deleted: 1 });
    expect(report.error).toBeUndefined();
    expect(reportOf(await org.sync(), name).error).toBeUndefined();
    await org.expectMirror(name);
  });
});

it('deletes that are held back are reported in every run, and compared again once an hour or where they are allowed', async () => {
  org = await Organisation.start(['account'], {}, { DATAVERSE_PAGE_SIZE: '10' });
  const ids = org.rows('account', 60);
  await org.sync();
  const idle = await requestsOf(() => org.sync());
  for (const id of ids.slice(0, 40)) deleteSilently('account', id);
  org.clock.now += day;
  const heldBack = { deleted: 0, error: expect.stringContaining('40 of 60 rows would be deleted') };
  expect(reportOf(await org.sync(), 'account')).toMatchObject(heldBack);
  for (let run = 0; run < 2; run++) {
    const requests = await requestsOf(async () => {
      expect(reportOf(await org.sync(), 'account')).toMatchObject(heldBack);
    });
    expect(requests).toBe(idle);
  }
  org.clock.now += 3_600_000;
  expect(await requestsOf(() => org.sync())).toBeGreaterThan(idle);
  const status = await org.sync({ allowMassDelete: ['account'] });
  expect(reportOf(status, 'account')).toMatchObject({ deleted: 40 });
  expect(reportOf(status, 'account').error).toBeUndefined();
  expect(reportOf(await org.sync(), 'account').error).toBeUndefined();
  await org.expectMirror('account');
});

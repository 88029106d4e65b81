import { afterEach, expect, it } from 'vitest';
import { addSizes, checkEnd, checkRowsById } from '../../../src/sync/fetch/endless-read.ts';
import { runStatus } from '../../../src/sync/run/run-status.ts';
import { Organisation, reportOf } from '../organisation.ts';

let org: Organisation | undefined;
afterEach(() => org?.stop());

const limits = { pageSize: 5000, databaseMaxBytes: 1_000_000 };
const check = (pages: number, records: number, bytes = 0, more = {}) =>
  checkEnd('accounts', { pages, records, bytes }, { ...limits, ...more });

it('stops a read whose pages are nearly empty and do not end', () => {
  expect(() => check(1000, 1000)).toThrow(
    'The pages of accounts do not end: 1000 pages with 1000 rows were read',
  );
  expect(() => check(1000, 0)).toThrow('do not end');
  expect(() => check(100_000, 5_000_000)).toThrow('do not end');
  expect(() => check(1000, 0, 0, { pageSize: 10 })).toThrow('do not end');
});

it('stops a read of more than any database can hold', () => {
  expect(() => check(10, 50_000, 20_000_001)).toThrow('do not end');
  expect(() => check(10, 50_000, 20_000_000)).not.toThrow();
});

it('lets long reads go on', () => {
  expect(() => check(100_000, 500_000_000, 0)).not.toThrow();
  // A provider may send smaller pages than were asked for.
  expect(() => check(100_000, 25_000_000)).not.toThrow();
  expect(() => check(999, 0)).not.toThrow();
  // The provider of a virtual table sends 50 rows a page at most.
  expect(() => check(1000, 50_000)).not.toThrow();
  expect(() => check(99_999, 4_999_950)).not.toThrow();
  expect(() => check(100_000, 100_000, 0, { pageSize: 1 })).not.toThrow();
});

it('lets reads by id go on, whose lists end, however few rows a request returns', () => {
  expect(() => check(5000, 100_000, 0, { pageSize: undefined })).not.toThrow();
  expect(() => check(5000, 0, 0, { pageSize: undefined })).not.toThrow();
});

it('stops a read by id that returns far more rows than it asked for', () => {
  expect(() => checkRowsById('accounts', 50, 60)).not.toThrow();
  expect(() => checkRowsById('accounts', 50, 201)).toThrow('accounts returned 201 rows for 50 ids');
});

it('adds up slices', () => {
  const one = { pages: 1, records: 2, bytes: 3 };
  expect(addSizes(undefined, one)).toEqual(one);
  expect(addSizes({ ...one, pages: 5 }, one)).toEqual({ pages: 6, records: 4, bytes: 6 });
});

/** Pages of ten rows, one in each slice. */
const smallPages = { DATAVERSE_PAGE_SIZE: '10', SYNC_SLICE_MB: '0.001' };
const accounts = /\/accounts\?(?!.*top=)/;

it('an endless chain of links fails its own table, and the others are committed before that', async () => {
  org = await Organisation.start(['lead', 'account'], {}, smallPages);
  const { harness, clock } = org;
  // A low limit, so that the test need not read a thousand pages.
  Object.assign(harness.services.settings.sync, { databaseMaxBytes: 20_000 });
  org.rows('lead', 3);
  org.rows('account', 25);
  const fault = org.dataverse.faults.add({ kind: 'endless-nextlink', match: accounts, times: Infinity });
  harness.mergeDelay = 0;
  const { runId } = await harness.start();
  let isEarly = false;
  while (harness.waiting > 0) {
    await harness.deliver();
    clock.now += 120_000;
    const leads = (await harness.services.mirror.lastState())?.entities['lead'];
    isEarly ||=
      leads !== undefined && (await harness.services.documents.failure(runId, 1, 'account')) === undefined;
  }
  expect(isEarly).toBe(true);
  const status = (await runStatus(harness.services, runId))!;
  expect(status.phase).toBe('complete');
  expect(reportOf(status, 'lead')).toMatchObject({ state: 'merged', added: 3 });
  expect(reportOf(status, 'account')).toMatchObject({
    state: 'failed',
    error: expect.stringContaining('The pages of accounts do not end'),
    hint: expect.stringContaining('SYNC_DATABASE_MAX_MB'),
  });
  expect(await org.ids('lead')).toHaveLength(3);
  fault.remove();
  await org.sync();
  await org.expectMirror('lead', 'account');
  await org.expectIdle();
});

it('an endless chain of links in a read by id fails its own table', async () => {
  org = await Organisation.start(['lead', { name: 'account', filtered: true }], {}, smallPages);
  const ids = org.rows('account', 25);
  org.rows('lead', 25, (n) => ({ _customerid_value: { id: ids[n]!, table: 'account' } }));
  const fault = org.dataverse.faults.add({ kind: 'endless-nextlink', match: accounts, times: Infinity });
  const status = await org.sync();
  expect(reportOf(status, 'lead')).toMatchObject({ state: 'merged', added: 25 });
  expect(reportOf(status, 'account')).toMatchObject({
    state: 'failed',
    error: expect.stringMatching(/do not end|rows for \d+ ids/),
    hint: expect.stringContaining('Check what answers instead of Dataverse'),
  });
  fault.remove();
  await org.sync();
  await org.expectMirror('lead', 'account');
});

it('a long read that ends is merged when it is complete, and the others at most every ten minutes', async () => {
  org = await Organisation.start(['lead', 'contact', 'account'], {}, smallPages);
  const { harness, clock } = org;
  org.rows('lead', 3);
  org.rows('contact', 35);
  org.rows('account', 105);
  harness.mergeDelay = 0;
  const { runId } = await harness.start();
  const before = clock.now;
  const commits: number[] = [];
  let etag: string | undefined;
  while (harness.waiting > 0) {
    await harness.deliver();
    const now = await harness.storage.databaseFile.currentEtag();
    if (now !== etag) commits.push((clock.now - before) / 60_000);
    etag = now;
    clock.now += 60_000;
  }
  expect(await runStatus(harness.services, runId)).toMatchObject({
    phase: 'complete',
    totals: { failed: 0 },
  });
  expect(commits.length).toBeGreaterThan(1);
  // Each interval but that before the last table, which needs no early merge.
  for (const [n, at] of commits.slice(0, -1).entries())
    expect(at - (commits[n - 1] ?? 0)).toBeGreaterThanOrEqual(10);
  await org.expectMirror('lead', 'contact', 'account');
  await org.expectIdle();
});

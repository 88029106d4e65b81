import { afterEach, expect, it } from 'vitest';
import { readWaiting } from '../../../src/sync/documents/waiting.ts';
import { waitFurther } from '../../../src/sync/fetch/wait-in-queue.ts';
import { runStatus } from '../../../src/sync/run/run-status.ts';
import { Organisation, reportOf } from '../organisation.ts';

let org: Organisation;
afterEach(() => org.stop());

const throttled = { kind: '429', match: /\/leads\?(?!.*top=1)/ } as const;

it('continues after the wait that Dataverse asked for, however often, without a request or a failed try in between', async () => {
  org = await Organisation.start(['lead', 'account'], {}, { DATAVERSE_PAGE_SIZE: '10' });
  org.rows('lead', 25);
  org.rows('account', 5);
  // The first page twice, then the second one.
  const retryAfter = org.waitInQueue();
  const faults = [
    org.dataverse.faults.add({ ...throttled, retryAfter, times: 2 }),
    org.dataverse.faults.add({ ...throttled, retryAfter, match: /\/leads.*skiptoken/, times: 1 }),
  ];
  const status = await org.sync();
  expect(faults.map(({ hits }) => hits)).toEqual([2, 1]);
  const report = reportOf(status, 'lead');
  expect(report).toMatchObject({ state: 'merged', added: 25, throttled: 3, requests: 6 });
  expect(report.waitedSeconds).toBeGreaterThan(2 * retryAfter);
  expect(report.wireBytes).toBeGreaterThan(0);
  expect(report.wireBytes).toBeLessThan(report.bytes);
  expect(status.entities.map(({ error }) => error)).toEqual([undefined, undefined]);
  expect(org.dataverse.stats.earlyRequests).toBe(0);
  const { log } = org.harness;
  expect(log.filter(({ message }) => /lead continues at/.test(message))).toHaveLength(3);
  expect(log.filter(({ level }) => level === 'warn' || level === 'error')).toEqual([]);
  expect(
    await org.query(
      `SELECT throttled, waited_seconds > ${2 * retryAfter} AS waited, wire_bytes < bytes AS compressed FROM _sync_log WHERE entity = 'lead'`,
    ),
  ).toEqual([{ throttled: 3, waited: 1, compressed: 1 }]);
  const line = log.find(({ message }) => /^Run .* is complete/.test(message))!;
  expect(line).toMatchObject({ properties: { throttled: 3, requests: status.totals.requests } });
  await org.expectMirror('lead', 'account');
});

it('shows that a table waits, and the run that waits is live and not stale', async () => {
  org = await Organisation.start(['lead']);
  org.rows('lead', 5);
  const retryAfter = org.waitInQueue();
  org.dataverse.faults.add({ ...throttled, retryAfter });
  const { services } = org.harness;
  const { runId } = await org.harness.start();
  expect(await org.harness.deliver()).toBeUndefined();
  const { now } = org.clock;
  expect(await readWaiting(services, runId, 1, 'lead')).toEqual({
    slice: 0,
    since: new Date(now).toISOString(),
    until: new Date(now + retryAfter * 1500).toISOString(),
    reason: expect.stringContaining('status 429'),
  });
  expect(await org.harness.start()).toMatchObject({ runId, outcome: 'live' });
  await org.harness.drain();
  expect(await runStatus(services, runId)).toMatchObject({ phase: 'complete' });
  await org.expectMirror('lead');
});

it('waits no longer than SYNC_MAX_WAIT at once, whatever Dataverse or a message says', async () => {
  org = await Organisation.start(['lead'], {}, { SYNC_MAX_WAIT: '20' });
  org.rows('lead', 5);
  org.dataverse.faults.add({ ...throttled, retryAfter: 999_999_999 });
  const { services } = org.harness;
  const { runId } = await org.harness.start();
  expect(await org.harness.deliver()).toBeUndefined();
  const since = new Date(org.clock.now).toISOString();
  const note = await readWaiting(services, runId, 1, 'lead');
  expect(note).toMatchObject({ since, until: new Date(org.clock.now + 30_000).toISOString() });
  // Nobody but another program can have sent this one.
  const message = { runId, round: 1, entity: 'lead', slice: 0 };
  const waiting = { since, until: '9999-01-01T00:00:00.000Z' };
  expect(await waitFurther(services, { ...message, waiting })).toBe(false);
  expect(await waitFurther(services, { ...message, waiting: { since, until: note!.until } })).toBe(true);
});

it('renews the sign of life during a wait that is longer than a run may stand still', async () => {
  org = await Organisation.start(['lead'], {}, { SYNC_STALE_AFTER: '2' });
  org.rows('lead', 5);
  org.dataverse.faults.add({ ...throttled, retryAfter: 2 });
  const { services } = org.harness;
  const { put } = services.work;
  let notes = 0;
  services.work.put = (name, value) => {
    if (name.endsWith('/waiting.json')) notes += 1;
    return put.call(services.work, name, value);
  };
  expect(reportOf(await org.sync(), 'lead')).toMatchObject({ added: 5 });
  expect(notes).toBeGreaterThan(1);
});

it('fails a table that Dataverse makes wait for too long, and completes the others', async () => {
  org = await Organisation.start(['lead', 'account'], {}, { SYNC_MAX_WAIT: '1' });
  org.rows('lead', 5);
  org.rows('account', 5);
  const fault = org.dataverse.faults.add({ ...throttled, retryAfter: org.waitInQueue(), times: 100 });
  const status = await org.sync();
  expect(fault.hits).toBeGreaterThan(1);
  expect(reportOf(status, 'lead')).toMatchObject({
    state: 'failed',
    error: expect.stringMatching(/made lead wait since .* status 429/),
    hint: expect.stringContaining('DATAVERSE_MAX_CONCURRENCY'),
  });
  expect(reportOf(status, 'account')).toMatchObject({ added: 5 });
  await org.expectMirror('account');
});

it('fails a table whose provider is unavailable for too long, and completes the others', async () => {
  org = await Organisation.start(['lead', 'account'], {}, { SYNC_MAX_WAIT: '1' });
  org.rows('lead', 5);
  org.rows('account', 5);
  org.dataverse.faults.add({ ...throttled, kind: '503', retryAfter: org.waitInQueue(), times: 100 });
  const status = await org.sync();
  expect(reportOf(status, 'lead')).toMatchObject({ state: 'failed', error: expect.stringContaining('503') });
  expect(reportOf(status, 'account')).toMatchObject({ added: 5 });
});

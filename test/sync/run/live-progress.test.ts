import { afterEach, expect, it } from 'vitest';
import { DocumentReader } from '../../../src/sync/documents/document-reader.ts';
import { paths } from '../../../src/sync/documents/paths.ts';
import { ProgressTracker } from '../../../src/sync/documents/progress-tracker.ts';
import { runStatus } from '../../../src/sync/run/run-status.ts';
import { Organisation, reportOf } from '../organisation.ts';

let org: Organisation;
afterEach(() => org.stop());

it('another process sees how much of a slice is read, and never counts it twice', async () => {
  const latency = { rows: 0, latencyMs: 40 };
  org = await Organisation.start(['lead'], latency, { DATAVERSE_PAGE_SIZE: '5', SYNC_SLICE_SECONDS: '2' });
  org.rows('lead', 250);
  const { services } = org.harness;
  const { work } = services;
  const other = { ...services, progress: new ProgressTracker(), documents: new DocumentReader(work) };
  services.progress = new ProgressTracker(work, 100);
  const { runId } = await org.harness.start();
  const draining = org.harness.drain();
  const seen: number[] = [];
  let isOver = false;
  draining.finally(() => {
    isOver = true;
  });
  while (!isOver) {
    const status = (await runStatus(other, runId))!;
    const { rowsRead } = reportOf(status, 'lead');
    if (seen.at(-1) !== rowsRead) seen.push(rowsRead);
    await new Promise((done) => setTimeout(done, 50));
  }
  await draining;
  expect(seen).toEqual([...seen].sort((a, b) => a - b));
  expect(seen.at(-1)).toBe(250);
  // Before the first slice is stored, and between the slices.
  expect(seen.length).toBeGreaterThan(3);
  await org.expectMirror('lead');
});

it('what another program writes as progress is no progress', async () => {
  org = await Organisation.start(['lead'], { rows: 0 }, { DATAVERSE_PAGE_SIZE: '5' });
  org.rows('lead', 5);
  const { services } = org.harness;
  const { runId } = await org.harness.start({ reread: ['lead'] });
  for (const value of [
    null,
    5,
    {},
    { slice: 0, rowsRead: 'x', pages: 1, bytes: 1 },
    { slice: 7, rowsRead: 9, pages: 1, bytes: 1 },
  ]) {
    await services.work.put(paths.progress(runId, 1, 'lead'), value);
    expect(reportOf((await runStatus(services, runId))!, 'lead').rowsRead).toBe(0);
  }
  await services.work.putText(paths.progress(runId, 1, 'lead'), '{"slice"', 'application/json');
  expect(reportOf((await runStatus(services, runId))!, 'lead').rowsRead).toBe(0);
  await services.work.put(paths.progress(runId, 1, 'lead'), { slice: 0, rowsRead: 4, pages: 1, bytes: 10 });
  expect(reportOf((await runStatus(services, runId))!, 'lead')).toMatchObject({
    rowsRead: 4,
    state: 'fetching',
  });
  await org.harness.drain();
});

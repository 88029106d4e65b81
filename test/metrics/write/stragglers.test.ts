import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { RetriableError } from '../../../src/errors.ts';
import { getStatus } from '../../../src/http/metrics/get-status.ts';
import type { CampaignMetrics } from '../../../src/metrics/contract/campaign-metrics-fields.ts';
import { campaignMetricsId } from '../../../src/metrics/contract/campaign-metrics-id.ts';
import type { MetricsServices } from '../../../src/metrics/services.ts';
import { acceptRecords } from '../../../src/metrics/write/accept-records.ts';
import { type DrainReport, drainJournal } from '../../../src/metrics/write/drain-journal.ts';
import { type Azurite, startAzurite } from '../../azurite.ts';
import { createWorld, record } from '../metrics-world.ts';

let azurite: Azurite;
beforeAll(async () => {
  azurite = await startAzurite();
});
afterAll(() => azurite.stop());

const stuck = (tokensIn: number) => record({ runId: 'stuck', tokensIn });
const id = campaignMetricsId(stuck(0));
const isStuck = ({ runId }: CampaignMetrics) => runId === 'stuck';
const many = (from: number, count: number) =>
  Array.from({ length: count }, (_, n) => record({ runId: `r${from + n}` }));

/** A journal of several small blobs. The row in the first one gets no answer. */
async function createStuckWorld() {
  const world = createWorld(azurite, { sealAt: 4_000 });
  world.table.unanswered = isStuck;
  await acceptRecords(world.services, [stuck(1), ...many(0, 20)], true);
  for (let n = 1; n < 5; n += 1) await acceptRecords(world.services, many(n * 20, 20), true);
  return world;
}

/** Lets the next drain begin at once. */
async function endPauses({ journal }: MetricsServices): Promise<void> {
  const lease = (await journal.lease())!;
  await lease.change({ retryAt: 0, stragglersAt: 0 });
  await lease.release();
}

async function stateOf(services: MetricsServices, ticket: string): Promise<string> {
  const request = { params: { ticket }, url: `http://app/api/metrics/campaign/status/${ticket}` };
  const { jsonBody } = await getStatus(services, { ...request, headers: new Headers() } as never);
  return jsonBody.state;
}

test('a row without an answer stops no others, however much is queued behind it', async () => {
  const { services, table, another } = await createStuckWorld();
  expect(await drainJournal(services)).toMatchObject({ written: 100, stopped: 'waiting for Dataverse' });
  expect(table.rows.size).toBe(100);
  // It does not make later records wait, and is not tried with each of them.
  await acceptRecords(services, many(100, 20), true);
  const tries = table.tries(id);
  expect(await drainJournal(another())).toMatchObject({ written: 20 });
  expect([table.rows.size, table.tries(id)]).toEqual([120, tries]);
  table.unanswered = () => false;
  await endPauses(services);
  expect(await drainJournal(another())).toEqual({ written: 1, refused: 0 });
  expect(table.rows.get(id)?.tokensIn).toBe(1);
  expect(await services.journal.progress()).toMatchObject({
    pending: false,
    state: { stragglers: '', readTo: '', failures: 0 },
  });
});

test('drains that find nothing but a row that waits end at once, and send no messages', async () => {
  const { services, queue, another } = await createStuckWorld();
  await drainJournal(services);
  // However slow the machine is, the row waits longer than the test takes.
  const lease = (await services.journal.lease())!;
  await lease.change({ stragglersAt: Date.now() + 3_600_000 });
  await lease.release();
  const count = async () => (await queue.getProperties()).approximateMessagesCount!;
  // The messages that the records triggered are sent a little later.
  let messages = -1;
  for (let before = -2; before !== messages; await delay(500)) [before, messages] = [messages, await count()];
  for (let n = 0; n < 3; n += 1)
    expect((await drainJournal(another())).stopped).toBe('waiting for Dataverse');
  expect(await count()).toBe(messages);
});

test.each(['queued', 'direct'])('the newest value of such a row wins: %s', async (way) => {
  const { services, table, another } = await createStuckWorld();
  await drainJournal(services);
  // More values than are kept.
  const values = Array.from({ length: 16 }, (_, n) => stuck(n + 2));
  await acceptRecords(services, values.slice(0, 5), true);
  await drainJournal(another());
  // They make no pause for others.
  expect((await services.journal.state()).retryAt).toBe(0);
  await acceptRecords(services, values.slice(5), true);
  await drainJournal(another());
  table.unanswered = () => false;
  await acceptRecords(another(), [stuck(20)], way === 'queued');
  await endPauses(services);
  await drainJournal(another());
  expect(table.rows.get(id)?.tokensIn).toBe(20);
  await drainJournal(services);
  expect(table.rows.get(id)?.tokensIn).toBe(20);
  expect((await services.journal.progress()).pending).toBe(false);
});

test('the newest value that Dataverse accepts is written if it rejects those after it', async () => {
  const { services, table, another } = await createStuckWorld();
  await drainJournal(services);
  await acceptRecords(services, [stuck(2), stuck(3)], true);
  table.unanswered = () => false;
  table.refuses = ({ tokensIn }) => tokensIn === 3;
  await endPauses(services);
  await drainJournal(another());
  expect(table.rows.get(id)?.tokensIn).toBe(2);
  expect(await services.poison.ids()).toEqual(new Set([id]));
});

test('a crash before the state is stored loses nothing', async () => {
  const { services, table, another } = await createStuckWorld();
  const dying = another();
  const { journal } = dying;
  const lease = journal.lease.bind(journal);
  let changes = 0;
  journal.lease = async () => {
    const held = (await lease())!;
    const change = held.change.bind(held);
    held.change = async (next) => {
      changes += 1;
      if (changes === 4) throw new RetriableError('the process ends');
      await change(next);
    };
    return held;
  };
  await expect(drainJournal(dying)).rejects.toThrow('the process ends');
  table.unanswered = () => false;
  await endPauses(services);
  await drainJournal(services);
  expect(table.rows.size).toBe(101);
});

test('an earlier version continues at the first record that is not written', async () => {
  const { services, table, container, another } = await createStuckWorld();
  await drainJournal(services);
  // It keeps no metadata but its own.
  const blob = container.getBlobClient('metrics/journal/state');
  const { generation, offset, poison } = await services.journal.state();
  await blob.setMetadata({
    generation: String(generation),
    offset: String(offset),
    poison: String(poison),
  });
  table.unanswered = () => false;
  await drainJournal(another());
  expect(table.rows.size).toBe(101);
});

test('records that are settled behind one that is not count as written', async () => {
  const { services, table, another } = createWorld(azurite);
  const accepted = await acceptRecords(services, [stuck(1), ...many(0, 300)], true);
  const tickets = accepted.map((item) => (item.outcome === 'queued' ? item.ticket : ''));
  // So many rows without an answer are not left behind.
  table.unanswered = ({ runId }) => runId === 'stuck' || Number(runId.slice(1)) < 290;
  // On a busy machine the time is over before anything is written.
  let report: DrainReport;
  do report = await drainJournal(services, { budgetMs: 100 });
  while (report.written === 0);
  expect(report.stopped).toBe('out of time');
  const states = async (of: MetricsServices) =>
    Promise.all([0, 1, 290, 291, 300].map((n) => stateOf(of, tickets[n]!)));
  const expected = ['queued', 'queued', 'queued', 'written', 'written'];
  expect(await states(services)).toEqual(expected);
  expect(await states(another())).toEqual(expected);
  table.unanswered = isStuck;
  // A newer value of a settled row need not be queued.
  const { end } = await services.journal.progress();
  const values = [record({ runId: 'r295', tokensIn: 7 }), record({ runId: 'r1', tokensIn: 7 })];
  const direct = another();
  expect(await acceptRecords(direct, values.slice(0, 1), false)).toMatchObject([{ outcome: 'updated' }]);
  expect((await services.journal.progress()).end).toEqual(end);
  await acceptRecords(direct, values.slice(1), false);
  expect((await services.journal.progress()).end).not.toEqual(end);
  await endPauses(services);
  await drainJournal(services);
  expect(await states(another())).toEqual(['queued', ...Array(4).fill('written')]);
  for (const value of values) expect(table.rows.get(campaignMetricsId(value))?.tokensIn).toBe(7);
});

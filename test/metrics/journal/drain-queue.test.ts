import { setTimeout as sleep } from 'node:timers/promises';
import { type QueueClient, QueueServiceClient } from '@azure/storage-queue';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DrainQueue } from '../../../src/metrics/journal/drain-queue.ts';
import { acceptRecords } from '../../../src/metrics/write/accept-records.ts';
import { drainJournal } from '../../../src/metrics/write/drain-journal.ts';
import { receiveDrain } from '../../../src/metrics/write/receive-drain.ts';
import { rescheduleDrain } from '../../../src/metrics/write/reschedule-drain.ts';
import { type Azurite, startAzurite } from '../../azurite.ts';
import { createWorld, record } from '../metrics-world.ts';

let azurite: Azurite;
beforeAll(async () => {
  azurite = await startAzurite();
});
afterAll(() => azurite.stop());

const many = (count: number) => Array.from({ length: count }, (_, n) => record({ runId: `r${n}` }));

test('a thousand records in many requests cost few messages', async () => {
  const { services, queue } = createWorld(azurite);
  await Promise.all(many(100).map((one) => acceptRecords(services, [one], true)));
  // Delayed messages count too: one that covers the appends, and one or two triggers.
  const count = async () => (await queue.getProperties()).approximateMessagesCount ?? 0;
  while ((await count()) < 2) await sleep(20);
  expect(await count()).toBeLessThan(6);
});

test('messages are base64-encoded JSON without records', async () => {
  const { services, queue } = createWorld(azurite);
  await acceptRecords(services, many(3), true);
  // The message that covers the appends is delayed, so the first to be received is the trigger.
  const receive = async () => (await queue.receiveMessages({ numberOfMessages: 10 })).receivedMessageItems;
  let received = await receive();
  while (received.length === 0) {
    await sleep(20);
    received = await receive();
  }
  expect(received).toHaveLength(1);
  const message = JSON.parse(Buffer.from(received[0]!.messageText, 'base64').toString());
  expect(message).toEqual({
    journal: 'campaign-metrics',
    sentAt: expect.any(String),
    app: 'this-app',
    container: services.journal.place,
  });
});

test('nothing is accepted if no message can be sent', async () => {
  const { services } = createWorld(azurite);
  const broken = { cover: () => Promise.reject(new Error('no queue')), trigger: () => {} };
  await expect(
    acceptRecords({ ...services, drainQueue: broken as unknown as DrainQueue }, many(1), true),
  ).rejects.toThrow('no queue');
  expect((await services.journal.progress()).pending).toBe(false);
});

test('a new message covers appends before the last one becomes visible', async () => {
  const { queue } = createWorld(azurite);
  let now = Date.now();
  const drainQueue = new DrainQueue(queue, { app: 'this-app', container: 'account/work' }, () => now);
  for (let second = 0; second < 60; second += 1) {
    await drainQueue.cover();
    now += 1_000;
  }
  const { approximateMessagesCount = 0 } = await queue.getProperties();
  expect(approximateMessagesCount).toBeGreaterThanOrEqual(5);
  expect(approximateMessagesCount).toBeLessThanOrEqual(7);
});

test('a second drain stops while one runs; a drain that dies has scheduled its successor', async () => {
  const { services, another, queue, table } = createWorld(azurite);
  await acceptRecords(services, many(5), true);
  table.faults = ['slow'];
  const first = drainJournal(services).catch(() => undefined);
  while (table.bulks.length === 0) await sleep(10);
  expect((await drainJournal(another())).stopped).toBe('busy elsewhere');
  const { approximateMessagesCount = 0 } = await queue.getProperties();
  expect(approximateMessagesCount).toBeGreaterThanOrEqual(2);
  void first;
});

test('a message that failed too often is logged, and a new one sent while records are pending', async () => {
  const { services, queue, logged } = createWorld(azurite);
  await queue.create();
  await rescheduleDrain(services);
  expect((await queue.getProperties()).approximateMessagesCount).toBe(0);
  await services.journal.append([{ id: 'x', acceptedAt: '', record: record() }]);
  await rescheduleDrain(services);
  expect((await queue.getProperties()).approximateMessagesCount).toBe(1);
  expect(logged.at(-1)).toMatchObject({ level: 'error' });
});

/** The messages of a queue, also those that are not visible yet: they are after a second. */
async function messagesOf(queue: QueueClient): Promise<object[]> {
  for (;;) {
    const { receivedMessageItems } = await queue.receiveMessages({ numberOfMessages: 10 });
    if (receivedMessageItems.length > 0)
      return receivedMessageItems.map(({ messageText }) =>
        JSON.parse(Buffer.from(messageText, 'base64').toString()),
      );
    await sleep(50);
  }
}

test.each(['other-app', 'this-app'])('a message of another journal is given back: of %s', async (app) => {
  const { services, queue, table, logged } = createWorld(azurite);
  await services.journal.append([{ id: 'x', acceptedAt: '', record: record() }]);
  const drain = receiveDrain(queue.name, () => services, drainJournal);
  const container = 'devstoreaccount1/other-work';
  const theirs = { journal: 'campaign-metrics', sentAt: '2026-11-21T10:00:00.000Z', app, container };
  await drain(theirs);
  // It also starts a drain of the own journal: the message may be of this app before its storage got another name.
  expect(table.rows.size).toBe(1);
  const [returned] = await messagesOf(queue);
  expect(returned).toEqual({ ...theirs, returned: 1 });
  await drain(returned);
  expect((await messagesOf(queue))[0]).toEqual({ ...theirs, returned: 2 });
  // Logged once, with what to do.
  expect(logged).toMatchObject([
    { level: 'error', message: expect.stringContaining(`${app} (${container})`) },
  ]);
  expect(logged[0]!.properties?.['hint']).toContain('SYNC_QUEUE_PREFIX');
  const poison = receiveDrain(`${queue.name}-poison`, () => services, rescheduleDrain);
  await poison(theirs);
  expect(
    await messagesOf(
      QueueServiceClient.fromConnectionString(azurite.connectionString).getQueueClient(
        `${queue.name}-poison`,
      ),
    ),
  ).toHaveLength(1);
});

test('an app that is created again under another name takes its messages', async () => {
  const { services, queue, table, logged } = createWorld(azurite);
  await acceptRecords(services, many(2), true);
  const sender = { app: 'earlier-name', container: services.journal.place };
  await receiveDrain(queue.name, () => services, drainJournal)({ journal: 'campaign-metrics', ...sender });
  expect([table.rows.size, logged]).toEqual([2, []]);
});

test.each([
  ['that names no journal', { journal: 'campaign-metrics', app: 'other-app' }],
  ['of an earlier version', { journal: 'campaign-metrics', sentAt: '2026-11-21T10:00:00.000Z' }],
  ['sent by hand', 'go'],
  ['without content', null],
])('a message %s starts a drain', async (_, message) => {
  const { services, queue, table, logged } = createWorld(azurite);
  await services.journal.append([{ id: 'x', acceptedAt: '', record: record() }]);
  await receiveDrain(queue.name, () => services, drainJournal)(message);
  expect(table.rows.size).toBe(1);
  expect(logged).toEqual([]);
});

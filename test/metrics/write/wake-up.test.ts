import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { acceptRecords } from '../../../src/metrics/write/accept-records.ts';
import { drainJournal } from '../../../src/metrics/write/drain-journal.ts';
import { healPoisonedWakeUp } from '../../../src/metrics/write/poison-wake-up.ts';
import { WakeUp } from '../../../src/metrics/write/wake-up.ts';
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
  await sleep(300);
  // Hidden ones count too: the insurance, and one or two wake-ups.
  const { approximateMessagesCount = 0 } = await queue.getProperties();
  expect(approximateMessagesCount).toBeGreaterThanOrEqual(2);
  expect(approximateMessagesCount).toBeLessThan(6);
});

test('messages are base64 of JSON without any record', async () => {
  const { services, queue } = createWorld(azurite);
  await acceptRecords(services, many(3), true);
  await sleep(300);
  const { receivedMessageItems } = await queue.receiveMessages({ numberOfMessages: 10 });
  expect(receivedMessageItems).toHaveLength(1);
  const message = JSON.parse(Buffer.from(receivedMessageItems[0]!.messageText, 'base64').toString());
  expect(Object.keys(message).sort()).toEqual(['journal', 'sentAt']);
});

test('nothing is accepted where no wake-up can be sent', async () => {
  const { services } = createWorld(azurite);
  const broken = { insure: () => Promise.reject(new Error('no queue')), soon: () => {} } as unknown as WakeUp;
  await expect(acceptRecords({ ...services, wakeUp: broken }, many(1), true)).rejects.toThrow('no queue');
  expect((await services.journal.progress()).pending).toBe(false);
});

test('insurance is sent anew before the last one shows up', async () => {
  const { queue } = createWorld(azurite);
  let now = Date.now();
  const wakeUp = new WakeUp(queue, () => now);
  for (let second = 0; second < 60; second += 1) {
    await wakeUp.insure();
    now += 1_000;
  }
  const { approximateMessagesCount = 0 } = await queue.getProperties();
  expect(approximateMessagesCount).toBeGreaterThanOrEqual(5);
  expect(approximateMessagesCount).toBeLessThanOrEqual(7);
});

test('who finds the writer at work goes away; a writer that dies has left a watchdog', async () => {
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

test('a wake-up that failed too often is said, and sent again while there is work', async () => {
  const { services, queue, logged } = createWorld(azurite);
  await queue.create();
  await healPoisonedWakeUp(services);
  expect((await queue.getProperties()).approximateMessagesCount).toBe(0);
  await services.journal.append([{ id: 'x', acceptedAt: '', record: record() }]);
  await healPoisonedWakeUp(services);
  expect((await queue.getProperties()).approximateMessagesCount).toBe(1);
  expect(logged.at(-1)).toMatchObject({ level: 'error' });
});

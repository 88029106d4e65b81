import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RegisteredFunction } from '../../../../src/local/functions-host/core-api.ts';
import type { Invoker } from '../../../../src/local/functions-host/invoker.ts';
import { QueueListener } from '../../../../src/local/functions-host/queues/queue-listener.ts';
import { Queues } from '../../../../src/local/functions-host/queues/queues.ts';
import { type Azurite, startAzurite } from '../../../azurite.ts';

let azurite: Azurite;

beforeAll(async () => {
  azurite = await startAzurite();
});

afterAll(() => azurite.stop());

/** A listener on its own queue, whose function is `run`. */
function listenTo(queueName: string, run: () => Promise<unknown>, maxPollingInterval = 100) {
  const queues = new Queues({ AzureWebJobsStorage: azurite.connectionString }, 'base64');
  const queue = queues.get(queueName, undefined);
  const poisonQueue = queues.get(`${queueName}-poison`, 'AzureWebJobsStorage');
  const fn: RegisteredFunction = {
    metadata: { name: 'listening', bindings: { trigger: { type: 'queueTrigger', direction: 'in' } } },
    callback: () => undefined,
  };
  const listener = new QueueListener({
    fn,
    queue,
    poisonQueue,
    queueOptions: {
      batchSize: 4,
      newBatchThreshold: 2,
      maxDequeueCount: 2,
      visibilityTimeout: 0,
      maxPollingInterval,
      messageEncoding: 'base64',
    },
    invoker: { invoke: run } as unknown as Invoker,
    log: () => undefined,
    hiddenSeconds: 30,
  });
  return { listener, queue, poisonQueue };
}

test('a message that was delivered too often goes to the poison queue without running', async () => {
  let runs = 0;
  const { listener, queue, poisonQueue } = listenTo('used-up', async () => runs++);
  await queue.send('{"id":"killer"}');
  await poisonQueue.create();
  // Two deliveries to processes that were killed before they counted a failure.
  for (let count = 0; count < 2; count++) {
    const [message] = (await queue.client.receiveMessages({ visibilityTimeout: 30 })).receivedMessageItems;
    await queue.client.updateMessage(message!.messageId, message!.popReceipt, undefined, 0);
  }
  await listener.start();
  let text: string | undefined;
  while (text === undefined) {
    text = (await poisonQueue.client.receiveMessages()).receivedMessageItems[0]?.messageText;
    await delay(20);
  }
  await listener.stop();
  expect(queue.decode(text)).toBe('{"id":"killer"}');
  expect(runs).toBe(0);
});

test('a message that is released at the stop is visible at once, and stays in the queue', async () => {
  let finish = () => undefined as unknown;
  const started = Promise.withResolvers<void>();
  const { listener, queue } = listenTo('given-up', () => {
    started.resolve();
    return new Promise((resolve) => {
      finish = () => resolve(undefined);
    });
  });
  await queue.send('{}');
  await listener.start();
  await started.promise;
  await listener.stop();
  expect((await queue.client.receiveMessages()).receivedMessageItems).toHaveLength(0);
  await listener.releaseAll();
  // The function ends too late to delete the message.
  finish();
  await delay(50);
  expect((await queue.client.receiveMessages()).receivedMessageItems).toHaveLength(1);
});

test('a queue that is woken is read at once, also if that happens while it is being read', async () => {
  const run = Promise.withResolvers<void>();
  const second = Promise.withResolvers<void>();
  let runs = 0;
  const count = async () => (++runs === 1 ? run : second).resolve();
  const { listener, queue } = listenTo('woken', count, 3_600_000);
  await listener.start();
  // Polls become rare.
  const { wait } = queue;
  let pauses = 0;
  queue.wait = (pause, signal, wakes) => {
    pauses += 1;
    return wait.call(queue, pauses < 3 ? 0 : pause * 1000, signal, wakes);
  };
  await expect.poll(() => pauses).toBeGreaterThan(2);
  await queue.client.sendMessage(Buffer.from('{}').toString('base64'));
  queue.wake();
  await run.promise;

  // The second message arrives between the answer to a poll and the wait.
  const { client } = queue;
  const receive = client.receiveMessages;
  client.receiveMessages = async (...args) => {
    const answer = await receive.apply(client, args);
    if (answer.receivedMessageItems.length === 0) {
      client.receiveMessages = receive;
      await client.sendMessage(Buffer.from('{}').toString('base64'));
      queue.wake();
    }
    return answer;
  };
  queue.wake();
  await second.promise;
  await listener.stop();
});

test('text in another encoding is not decoded', () => {
  const queue = new Queues({ AzureWebJobsStorage: azurite.connectionString }, 'base64').get(
    'encoding',
    undefined,
  );
  expect(queue.decode(Buffer.from('Grüße').toString('base64'))).toBe('Grüße');
  expect(queue.decode('{"plain":1}')).toBeUndefined();
  expect(queue.decode(Buffer.from([0xff, 0xfe]).toString('base64'))).toBeUndefined();
});

test('a connection without a setting and an invalid queue name are rejected', () => {
  const queues = new Queues({ AzureWebJobsStorage: azurite.connectionString }, 'base64');
  expect(() => queues.get('jobs', 'Elsewhere')).toThrow(
    'The app setting of the storage connection "Elsewhere" is not set',
  );
  expect(() => queues.get('No_Queue', undefined)).toThrow('"No_Queue" is not a valid queue name');
});

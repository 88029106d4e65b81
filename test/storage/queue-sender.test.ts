import { RestError } from '@azure/storage-blob';
import type { QueueClient } from '@azure/storage-queue';
import { expect, it } from 'vitest';
import { RetriableError } from '../../src/errors.ts';
import { queueSender } from '../../src/storage/queue-sender.ts';

it('creates an absent queue, and maps the failure of the message after that', async () => {
  const calls: string[] = [];
  const sender = queueSender({
    name: 'fetch',
    sendMessage: async (text: string) => {
      calls.push(Buffer.from(text, 'base64').toString());
      throw new RestError('failed', { statusCode: calls.includes('create') ? 503 : 404 });
    },
    createIfNotExists: async () => void calls.push('create'),
  } as unknown as QueueClient);
  await expect(sender({ a: 1 })).rejects.toThrow(RetriableError);
  expect(calls).toEqual(['{"a":1}', 'create', '{"a":1}']);
});

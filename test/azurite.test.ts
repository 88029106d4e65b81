import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BlobServiceClient } from '@azure/storage-blob';
import { QueueServiceClient } from '@azure/storage-queue';
import { expect, it } from 'vitest';
import { startAzurite, startOwnAzurite } from './azurite.ts';

it('serves blobs and queues; two at once have separate data', async () => {
  const [one, other] = await Promise.all([startAzurite(), startAzurite()]);
  const container = BlobServiceClient.fromConnectionString(one.connectionString).getContainerClient('blobs');
  await container.create();
  await container.getBlockBlobClient('a').upload('hello', 5);
  expect((await container.getBlockBlobClient('a').downloadToBuffer()).toString()).toBe('hello');
  const queue = QueueServiceClient.fromConnectionString(one.connectionString).getQueueClient('messages');
  await queue.create();
  await queue.sendMessage('hi');
  expect((await queue.receiveMessages()).receivedMessageItems[0]?.messageText).toBe('hi');
  const elsewhere = BlobServiceClient.fromConnectionString(other.connectionString);
  expect(await elsewhere.getContainerClient('blobs').exists()).toBe(false);
  await Promise.all([one.stop(), other.stop()]);
});

it('gives an account with nothing in it, whoever used the emulator before', async () => {
  const before = await startAzurite();
  const services = (account: typeof before) =>
    [
      BlobServiceClient.fromConnectionString(account.connectionString),
      QueueServiceClient.fromConnectionString(account.connectionString),
    ] as const;
  await services(before)[0].createContainer('left');
  await services(before)[1].createQueue('left');
  const after = await startAzurite();
  expect((await services(after)[0].listContainers().next()).done).toBe(true);
  expect((await services(after)[1].listQueues().next()).done).toBe(true);
  await before.stop();
  await after.stop();
});

it('keeps the data in its folder after a stop', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'azurite-'));
  const before = await startOwnAzurite({ folder });
  const service = BlobServiceClient.fromConnectionString(before.connectionString);
  await service.getContainerClient('kept').create();
  await before.stop();
  const after = await startOwnAzurite({ folder, blobPort: before.blobPort, queuePort: before.queuePort });
  expect(await service.getContainerClient('kept').exists()).toBe(true);
  await after.stop();
  await rm(folder, { recursive: true });
});

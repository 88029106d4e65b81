import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BlobServiceClient } from '@azure/storage-blob';
import { QueueServiceClient } from '@azure/storage-queue';
import { expect, it } from 'vitest';
import { startAzurite } from './azurite.ts';

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

it('keeps the data in its folder after a stop', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'azurite-'));
  const before = await startAzurite({ folder });
  const service = BlobServiceClient.fromConnectionString(before.connectionString);
  await service.getContainerClient('kept').create();
  await before.stop();
  const after = await startAzurite({ folder, blobPort: before.blobPort, queuePort: before.queuePort });
  expect(await service.getContainerClient('kept').exists()).toBe(true);
  await after.stop();
  await rm(folder, { recursive: true });
});

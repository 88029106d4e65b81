import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { BlobServiceClient } from '@azure/storage-blob';
import { QueueServiceClient } from '@azure/storage-queue';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openDataFolder } from '../../../src/local/data-folder/data-folder.ts';
import { startStorageEmulator } from '../../../src/local/emulators/storage-emulator.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'storage-emulator-'));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

const blobs = (connectionString: string) =>
  BlobServiceClient.fromConnectionString(connectionString, {
    retryOptions: { maxTries: 1 },
  }).getContainerClient('kept');
const queue = (connectionString: string) =>
  QueueServiceClient.fromConnectionString(connectionString, { retryOptions: { maxTries: 1 } }).getQueueClient(
    'kept',
  );

async function startProcess(): Promise<{ child: ChildProcess; connectionString: string }> {
  const script = join(import.meta.dirname, '../fixtures/storage-emulator-process.ts');
  const child = spawn(process.execPath, [script, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [connectionString] = (await once(createInterface({ input: child.stdout! }), 'line')) as [string];
  return { child, connectionString };
}

async function kill(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

test('blobs and messages survive a stop', async () => {
  const first = await startStorageEmulator({ folder });
  const data = randomBytes(1_000_000);
  await blobs(first.connectionString).create();
  await blobs(first.connectionString).getBlockBlobClient('data').uploadData(data);
  await queue(first.connectionString).create();
  await queue(first.connectionString).sendMessage('message');
  await first.stop();

  const second = await startStorageEmulator({ folder });
  expect(await blobs(second.connectionString).getBlockBlobClient('data').downloadToBuffer()).toEqual(data);
  const { receivedMessageItems } = await queue(second.connectionString).receiveMessages();
  expect(receivedMessageItems.map(({ messageText }) => messageText)).toEqual(['message']);
  await second.stop();
});

test('a message is told of when it becomes visible: a new, a delayed and a released one', async () => {
  const emulator = await startStorageEmulator({ folder });
  const told: string[] = [];
  emulator.onQueueMessage((name) => told.push(name));
  const client = queue(emulator.connectionString);
  await client.create();
  await client.sendMessage('message');
  await expect.poll(() => told).toEqual(['kept']);

  // Nobody is told of a message that is read or refused.
  const [message] = (await client.receiveMessages()).receivedMessageItems;
  await expect(client.sendMessage('x'.repeat(70_000))).rejects.toThrow();
  await client.updateMessage(message!.messageId, message!.popReceipt, 'again', 0);
  await expect.poll(() => told).toEqual(['kept', 'kept']);
  expect((await client.receiveMessages()).receivedMessageItems).toHaveLength(1);

  await client.sendMessage('later', { visibilityTimeout: 1 });
  await expect.poll(() => told).toHaveLength(3);
  const later = await client.receiveMessages();
  expect(later.receivedMessageItems.map(({ messageText }) => messageText)).toEqual(['later']);
  await emulator.stop();
});

test('acknowledged writes survive a SIGKILL', async () => {
  const { child, connectionString } = await startProcess();
  const container = blobs(connectionString);
  const messages = queue(connectionString);
  await Promise.all([container.create(), messages.create()]);
  const acknowledged = {
    blobs: new Map<string, Buffer>(),
    committed: new Map<string, Buffer>(),
    messages: [] as string[],
  };
  let alive = true;
  const untilKilled = async (write: (count: number) => Promise<void>) => {
    for (let count = 0; alive; count++) {
      try {
        await write(count);
      } catch (error) {
        if (alive) throw error;
      }
    }
  };
  const writers = [0, 1, 2].map((writer) =>
    untilKilled(async (count) => {
      const data = randomBytes(1000 + count);
      await container.getBlockBlobClient(`blob-${writer}-${count}`).upload(data, data.length);
      acknowledged.blobs.set(`blob-${writer}-${count}`, data);
    }),
  );
  writers.push(
    untilKilled(async (count) => {
      const client = container.getBlockBlobClient(`committed-${count}`);
      const blocks = [randomBytes(50_000), randomBytes(50_000)];
      const ids = [Buffer.from('0').toString('base64'), Buffer.from('1').toString('base64')];
      await Promise.all(blocks.map((block, index) => client.stageBlock(ids[index]!, block, block.length)));
      await client.commitBlockList(ids);
      acknowledged.committed.set(`committed-${count}`, Buffer.concat(blocks));
    }),
    untilKilled(async (count) => {
      await messages.sendMessage(`message ${count}`);
      acknowledged.messages.push(`message ${count}`);
    }),
  );
  // Kill during the writes, and before the five seconds after which Azurite alone saves its metadata.
  while (acknowledged.messages.length < 15 || acknowledged.committed.size < 5) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  alive = false;
  await kill(child);
  await Promise.all(writers);

  const again = await startStorageEmulator({ folder });
  for (const [name, data] of [...acknowledged.blobs, ...acknowledged.committed]) {
    const kept = await blobs(again.connectionString).getBlockBlobClient(name).downloadToBuffer();
    expect(kept.equals(data), name).toBe(true);
  }
  const texts = new Set<string>();
  for (;;) {
    const { receivedMessageItems } = await queue(again.connectionString).receiveMessages({
      numberOfMessages: 32,
    });
    for (const { messageText } of receivedMessageItems) texts.add(messageText);
    if (receivedMessageItems.length === 0) break;
  }
  expect(acknowledged.messages.filter((text) => !texts.has(text))).toEqual([]);
  await again.stop();
});

test('the error names a port that is taken', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  await expect(startStorageEmulator({ folder, blobPort: port })).rejects.toMatchObject({
    name: 'ConfigurationError',
    message: `Port ${port} is taken`,
  });
  other.close();
});

test('the error about damaged files says what to do', async () => {
  await writeFile(join(folder, '__azurite_db_blob__.json'), '{"half":');
  await expect(startStorageEmulator({ folder })).rejects.toMatchObject({
    message: expect.stringContaining('The storage emulator cannot start'),
    hint: expect.stringContaining('delete the folder'),
  });
});

test('one process locks a data folder until it ends or is killed', async () => {
  const { child } = await startProcess();
  await expect(openDataFolder(folder)).rejects.toThrow('in use by another process');
  await kill(child);
  const held = await openDataFolder(folder);
  held.release();
});

test('the error names a data folder that is not writable', async () => {
  await writeFile(join(folder, 'file'), '');
  await expect(openDataFolder(join(folder, 'file', 'data'))).rejects.toMatchObject({
    message: expect.stringContaining('is not writable'),
    hint: expect.stringContaining('--data'),
  });
});

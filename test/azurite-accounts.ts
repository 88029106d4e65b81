import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { BlobServiceClient } from '@azure/storage-blob';
import { QueueServiceClient } from '@azure/storage-queue';
import type { StorageEmulator, StorageEmulatorPorts } from '../src/local/emulators/storage-emulator.ts';

const key = Buffer.from('key of the accounts of tests').toString('base64');
const count = 500;
const nameOf = (n: number) => `test${n}`;

/** Set by shared-azurite.ts before the first test file starts: the ports, and a folder with one entry per used account. */
export const sharedAzurite = 'SHARED_AZURITE';

export interface SharedAzurite extends StorageEmulatorPorts {
  claims: string;
}

/** The accounts of the shared Azurite, in the form of AZURITE_ACCOUNTS; the emulator's usual one is the first. */
export function accountsOfTests(usual: { name: string; key: string }): string {
  const accounts = Array.from({ length: count }, (_, n) => `${nameOf(n)}:${key}`);
  return [`${usual.name}:${usual.key}`, ...accounts].join(';');
}

/** An account that no other test file has; undefined without a shared Azurite, or if all are used (watch mode). */
export async function claimAccount(): Promise<Omit<StorageEmulator, 'onQueueMessage'> | undefined> {
  const text = process.env[sharedAzurite];
  if (text === undefined) return undefined;
  const { claims, blobPort, queuePort } = JSON.parse(text) as SharedAzurite;
  for (let n = 0; n < count; n++) {
    // Several processes look for a free account at once: to make a folder is atomic.
    try {
      mkdirSync(join(claims, nameOf(n)));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') continue;
      throw error;
    }
    const connectionString = [
      'DefaultEndpointsProtocol=http',
      `AccountName=${nameOf(n)}`,
      `AccountKey=${key}`,
      `BlobEndpoint=http://127.0.0.1:${blobPort}/${nameOf(n)}`,
      `QueueEndpoint=http://127.0.0.1:${queuePort}/${nameOf(n)}`,
    ].join(';');
    return { blobPort, queuePort, connectionString, stop: () => empty(connectionString) };
  }
  return undefined;
}

/** Deletes what the test left, so that the memory of the shared Azurite does not grow with each file. */
async function empty(connectionString: string): Promise<void> {
  const blobs = BlobServiceClient.fromConnectionString(connectionString);
  for await (const { name } of blobs.listContainers()) await blobs.deleteContainer(name);
  const queues = QueueServiceClient.fromConnectionString(connectionString);
  for await (const { name } of queues.listQueues()) await queues.deleteQueue(name);
}

import { randomUUID } from 'node:crypto';
import type { BlobClient, ContainerClient } from '@azure/storage-blob';
import type { QueueClient } from '@azure/storage-queue';
import { inContainer, withStorageErrors } from '../storage/errors.ts';
import { type Check, clockFinding, type PendingCheck } from './check.ts';

const contents = 'A probe of GET /api/check. It can be deleted.';

const folder = 'check/';
const sweptAfterHours = 24;

/** With the lease, if there may be one. The answer to its release can be lost. */
async function deleteBlob(blob: BlobClient, leaseId: string | undefined): Promise<void> {
  if (leaseId !== undefined) {
    const isDeleted = await blob.deleteIfExists({ conditions: { leaseId } }).catch(() => undefined);
    if (isDeleted !== undefined) return;
  }
  await blob.deleteIfExists();
}

const probeName = /^check\/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Deletes what checks left that died or were cut off. */
async function sweep(container: ContainerClient, abortSignal: AbortSignal): Promise<void> {
  try {
    for await (const { name, properties } of container.listBlobsFlat({ prefix: folder, abortSignal })) {
      // Only probes: the container may hold blobs of others.
      if (!probeName.test(name)) continue;
      const hours = (Date.now() - properties.lastModified.getTime()) / 3_600_000;
      if (hours > sweptAfterHours) await container.deleteBlob(name, { abortSignal });
    }
  } catch {
    // The next check tries again.
  }
}

/**
 * Does with a blob of its own in the container what the app does with its blobs: write, read, lease, delete.
 * @param place for the name of the check: `container sync-work`
 */
export function blobCheck(place: string, container: ContainerClient): PendingCheck {
  const name = `storage: ${place}`;
  return {
    name,
    run: async (abortSignal) => {
      const blob = container.getBlockBlobClient(`${folder}${randomUUID()}`);
      const step = <T>(verb: string, work: () => Promise<T>) =>
        withStorageErrors(verb, `a blob in the container ${container.containerName}`, work);
      const began = Date.now();
      let leaseId: string | undefined;
      let date: Date | undefined;
      try {
        // Without a condition: if an answer is lost, the client repeats the write, and nobody else uses the name.
        const upload = () => blob.upload(contents, contents.length, { abortSignal });
        ({ date } = await step('write', () => inContainer(container, upload)));
        await step('read', () => blob.downloadToBuffer(0, undefined, { abortSignal }));
        const lease = blob.getBlobLeaseClient();
        ({ leaseId } = await step('lease', () => lease.acquireLease(15, { abortSignal })));
        await step('release the lease of', () => lease.releaseLease({ abortSignal }));
        leaseId = undefined;
        await step('list', () => container.listBlobsFlat({ prefix: blob.name, abortSignal }).next());
      } finally {
        // Also after the time is up.
        await step('delete', () => deleteBlob(blob, leaseId));
      }
      await sweep(container, abortSignal);
      const detail = `A blob in ${container.containerName} was written, read, leased, listed and deleted.`;
      const checks: Check[] = [{ name, ok: true, detail }];
      if (date !== undefined) {
        checks.push({
          name: `clock: ${place}`,
          ...clockFinding('the storage account', began, date.getTime()),
        });
      }
      return checks;
    },
  };
}

/** Sends, peeks, receives and deletes a message in a queue that no function listens to. */
export function queueCheck(queue: QueueClient): PendingCheck {
  return {
    name: 'storage: queues',
    run: async (abortSignal) => {
      const step = <T>(verb: string, work: () => Promise<T>) =>
        withStorageErrors(verb, `a message in the queue ${queue.name}`, work);
      await withStorageErrors('create', `the queue ${queue.name}`, () =>
        queue.createIfNotExists({ abortSignal }),
      );
      await step('send', () => queue.sendMessage('check', { messageTimeToLive: 60, abortSignal }));
      await step('peek', () => queue.peekMessages({ abortSignal }));
      const { receivedMessageItems: received } = await step('receive', () =>
        queue.receiveMessages({ numberOfMessages: 32, visibilityTimeout: 30, abortSignal }),
      );
      for (const { messageId, popReceipt } of received) {
        await step('delete', () => queue.deleteMessage(messageId, popReceipt, { abortSignal }));
      }
      return { ok: true, detail: `A message in ${queue.name} was sent, peeked, received and deleted.` };
    },
  };
}

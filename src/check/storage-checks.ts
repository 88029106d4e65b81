import { randomUUID } from 'node:crypto';
import type { ContainerClient } from '@azure/storage-blob';
import type { QueueClient } from '@azure/storage-queue';
import { inContainer, withStorageErrors } from '../storage/errors.ts';
import { type Check, clockFinding, type PendingCheck } from './check.ts';

const contents = 'A probe of GET /api/check. It can be deleted.';

/**
 * Does with a blob of its own in the container what the app does with its blobs: write, read, lease, delete.
 * @param place for the name of the check: `container sync-work`
 */
export function blobCheck(place: string, container: ContainerClient): PendingCheck {
  const name = `storage: ${place}`;
  return {
    name,
    run: async () => {
      const blob = container.getBlockBlobClient(`check/${randomUUID()}`);
      const step = <T>(verb: string, work: () => Promise<T>) =>
        withStorageErrors(verb, `a blob in the container ${container.containerName}`, work);
      const began = Date.now();
      const { date } = await step('write', () =>
        inContainer(container, () =>
          blob.upload(contents, contents.length, { conditions: { ifNoneMatch: '*' } }),
        ),
      );
      try {
        await step('read', () => blob.downloadToBuffer());
        const lease = blob.getBlobLeaseClient();
        await step('lease', () => lease.acquireLease(15));
        await step('release the lease of', () => lease.releaseLease());
        await step('list', () => container.listBlobsFlat({ prefix: blob.name }).next());
      } finally {
        await step('delete', () => blob.deleteIfExists());
      }
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
    run: async () => {
      const step = <T>(verb: string, work: () => Promise<T>) =>
        withStorageErrors(verb, `a message in the queue ${queue.name}`, work);
      await withStorageErrors('create', `the queue ${queue.name}`, () => queue.createIfNotExists());
      await step('send', () => queue.sendMessage('check', { messageTimeToLive: 60 }));
      await step('peek', () => queue.peekMessages());
      const { receivedMessageItems: received } = await step('receive', () =>
        queue.receiveMessages({ numberOfMessages: 32, visibilityTimeout: 30 }),
      );
      for (const { messageId, popReceipt } of received) {
        await step('delete', () => queue.deleteMessage(messageId, popReceipt));
      }
      return { ok: true, detail: `A message in ${queue.name} was sent, peeked, received and deleted.` };
    },
  };
}

import type { QueueClient, QueueSendMessageOptions } from '@azure/storage-queue';
import { statusOf, withStorageErrors } from './errors.ts';

/**
 * Sends messages in the format that the queue trigger expects: JSON in base64 (host.json: `messageEncoding`). The
 * trigger silently moves plain text to the poison queue. Creates the queue if it does not exist.
 */
export function queueSender(
  queue: QueueClient,
): (message: unknown, options?: QueueSendMessageOptions) => Promise<void> {
  return (message, options) =>
    withStorageErrors('send to', queue.name, async () => {
      const text = Buffer.from(JSON.stringify(message)).toString('base64');
      try {
        await queue.sendMessage(text, options);
      } catch (error) {
        if (statusOf(error) !== 404) throw error;
        await queue.createIfNotExists();
        await queue.sendMessage(text, options);
      }
    });
}

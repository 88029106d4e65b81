import type { QueueClient, QueueSendMessageOptions } from '@azure/storage-queue';
import { statusOf, storageError } from './errors.ts';

/**
 * Sends messages as the queue trigger reads them: JSON in base64. A message sent in plain text would become
 * poison without a word (host.json: `messageEncoding`). A queue that is absent is created.
 */
export function queueSender(
  queue: QueueClient,
): (message: unknown, options?: QueueSendMessageOptions) => Promise<void> {
  return async (message, options) => {
    const text = Buffer.from(JSON.stringify(message)).toString('base64');
    try {
      await queue.sendMessage(text, options);
    } catch (error) {
      if (statusOf(error) !== 404) throw storageError(error, 'send to', queue.name);
      await queue.createIfNotExists();
      await queue.sendMessage(text, options);
    }
  };
}

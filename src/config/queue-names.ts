/** The prefix of an app whose queues nobody has named. */
export const defaultQueuePrefix = 'sync';

/** Storage queues have names of 3 to 63 characters; the longest suffix is `-campaign-metrics-poison`. */
export const queuePrefixPattern = /^[a-z0-9](?:[a-z0-9]|-(?!-)){0,35}[a-z0-9]$/;

/**
 * The name of a queue in this app: `SYNC_QUEUE_PREFIX` replaces `sync` at its beginning, or comes before any other name.
 * Triggers are registered before any setting is validated. So an invalid prefix counts as the default here, and the app
 * starts and reports it.
 * @example queueName('sync-plan', { SYNC_QUEUE_PREFIX: 'test' }) // test-plan
 */
export function queueName(name: string, env: Record<string, string | undefined> = process.env): string {
  const prefix = env['SYNC_QUEUE_PREFIX']?.trim() ?? '';
  if (!queuePrefixPattern.test(prefix) || prefix === defaultQueuePrefix) return name;
  return `${prefix}-${name.replace(/^sync-/, '')}`;
}

import { environmentOrigin } from './config/environment-url.ts';
import { perEnvironment } from './config/environments/environment.ts';
import { type MetricsSettings, readMetricsSettings } from './config/metrics-settings.ts';
import { readTogether } from './config/parse-settings.ts';
import { queueName } from './config/queue-names.ts';
import { readSettings, type Settings } from './config/settings.ts';
import { createCredential } from './dataverse/credential.ts';
import { TokenSource } from './dataverse/transport/auth-policy.ts';
import { limiterFor } from './dataverse/transport/limiter.ts';
import type { RetryOptions } from './dataverse/transport/retry.ts';
import { DrainQueue, metricsQueue } from './metrics/journal/drain-queue.ts';
import { Journal } from './metrics/journal/journal.ts';
import { environmentOf } from './metrics/journal/journal-owner.ts';
import { PoisonRecords } from './metrics/journal/poison-records.ts';
import { CampaignMetricsReader } from './metrics/read/campaign-metrics-reader.ts';
import type { MetricsServices } from './metrics/services.ts';
import { DataverseMetricsTable } from './metrics/table/dataverse-metrics-table.ts';
import { MetricsTransport } from './metrics/table/metrics-transport.ts';
import { storageConnection, telemetryOf } from './services.ts';
import { openStorageAccount } from './storage/account.ts';
import { queueSender } from './storage/queue-sender.ts';
import { WorkStore } from './storage/work-store.ts';
import type { Properties } from './telemetry/telemetry.ts';

/**
 * The services of campaign metrics of an environment, created on first use.
 * @throws ConfigurationError that names the invalid settings
 */
export const metricsServices = perEnvironment(
  ({ settings }): MetricsServices =>
    createMetricsServices(
      ...readTogether(
        () => readSettings(settings),
        () => readMetricsSettings(settings),
      ),
    ),
);

export function createMetricsServices(settings: Settings, metrics: MetricsSettings): MetricsServices {
  const telemetry = telemetryOf(settings);
  const origin = environmentOrigin(settings.dataverse.url);
  const connect = (retry: Partial<RetryOptions>) =>
    new MetricsTransport({
      origin,
      tokens: new TokenSource(createCredential(settings.dataverse.credential), origin),
      limiter: limiterFor(origin, settings.dataverse.maxConcurrency),
      log: (level, message, properties) => telemetry.log(level, message, properties as Properties),
      retry,
    });
  const account = openStorageAccount(storageConnection(settings.storage));
  const container = account.blobs.getContainerClient(settings.containers.work);
  const journal = new Journal(container, { environment: environmentOf(origin) });
  const drainQueue = queueName(metricsQueue, { SYNC_QUEUE_PREFIX: settings.queuePrefix });
  return {
    ...telemetry,
    settings: metrics,
    // Writes are tried once and wait only shortly while Dataverse asks for a pause: callers queue or back off.
    table: new DataverseMetricsTable(connect({ maxTries: 1, maxTotalSeconds: 0.5 }), metrics),
    reader: new CampaignMetricsReader(connect({ maxTotalSeconds: 60 }), metrics),
    journal,
    poison: new PoisonRecords(new WorkStore(container)),
    drainQueue: new DrainQueue(account.queues.getQueueClient(drainQueue), {
      app: settings.app,
      container: journal.place,
    }),
    sendTo: (queue, message, delaySeconds) =>
      queueSender(account.queues.getQueueClient(queue))(message, { visibilityTimeout: delaySeconds }),
    now: () => new Date(),
  };
}

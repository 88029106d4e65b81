import { environmentOrigin } from './config/environment-url.ts';
import { type MetricsSettings, readMetricsSettings } from './config/metrics-settings.ts';
import { readSettings, type Settings } from './config/settings.ts';
import { createCredential } from './dataverse/credential.ts';
import { TokenSource } from './dataverse/transport/auth-policy.ts';
import { limiterFor } from './dataverse/transport/limiter.ts';
import type { Log } from './dataverse/transport/transport.ts';
import { DrainQueue, metricsQueue } from './metrics/journal/drain-queue.ts';
import { Journal } from './metrics/journal/journal.ts';
import { PoisonRecords } from './metrics/journal/poison-records.ts';
import { CampaignMetricsReader } from './metrics/read/read-campaign-metrics.ts';
import type { MetricsServices } from './metrics/services.ts';
import { DataverseMetricsTable } from './metrics/table/dataverse-metrics-table.ts';
import { MetricsTransport } from './metrics/table/metrics-transport.ts';
import { storageConnection } from './services.ts';
import { openStorageAccount } from './storage/account.ts';
import { WorkStore } from './storage/work-store.ts';
import { invocationSink } from './telemetry/invocation-log.ts';
import { monitor } from './telemetry/monitor.ts';
import { createTelemetry, type Properties } from './telemetry/telemetry.ts';

/** While Dataverse has asked for a longer pause, a write fails at once, and the record is queued. */
const longestPauseSeconds = 0.5;

let services: MetricsServices | undefined;

/**
 * The services of campaign metrics, made on first use.
 * @throws ConfigurationError that names the wrong settings, at each call until they are right
 */
export function metricsServices(): MetricsServices {
  services ??= createMetricsServices(readSettings(), readMetricsSettings());
  return services;
}

export function createMetricsServices(settings: Settings, metrics: MetricsSettings): MetricsServices {
  const telemetry = createTelemetry(invocationSink, monitor);
  const log: Log = (level, message, properties) => telemetry.log(level, message, properties as Properties);
  const transport = metricsTransport(settings, log, { maxTries: 1, maxTotalSeconds: longestPauseSeconds });
  const reading = metricsTransport(settings, log, { maxTotalSeconds: 60 });
  const account = openStorageAccount(storageConnection(settings.storage));
  const container = account.blobs.getContainerClient(settings.containers.work);
  return {
    settings: metrics,
    // Writes are not tried again by the client: who writes directly queues instead, who writes the journal
    // waits on its own.
    table: new DataverseMetricsTable(transport, metrics),
    reader: new CampaignMetricsReader(reading, metrics),
    journal: new Journal(container),
    poison: new PoisonRecords(new WorkStore(container)),
    drainQueue: new DrainQueue(account.queues.getQueueClient(metricsQueue)),
    ...telemetry,
    now: () => new Date(),
  };
}

/** The way to the environment of the settings, under the limiter that all of this process share. */
export function metricsTransport(
  { dataverse }: Settings,
  log: Log,
  retry: { maxTries?: number; maxTotalSeconds?: number } = {},
): MetricsTransport {
  const origin = environmentOrigin(dataverse.url);
  return new MetricsTransport({
    origin,
    tokens: new TokenSource(createCredential(dataverse.credential), origin),
    limiter: limiterFor(origin, dataverse.maxConcurrency),
    log,
    retry,
  });
}

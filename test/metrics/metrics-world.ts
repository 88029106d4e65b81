import { randomUUID } from 'node:crypto';
import { BlobServiceClient, type ContainerClient } from '@azure/storage-blob';
import { type QueueClient, QueueServiceClient } from '@azure/storage-queue';
import { type MetricsSettings, readMetricsSettings } from '../../src/config/metrics-settings.ts';
import type {
  CampaignMetrics,
  CampaignMetricsInput,
} from '../../src/metrics/contract/campaign-metrics-fields.ts';
import { DrainQueue } from '../../src/metrics/journal/drain-queue.ts';
import { Journal } from '../../src/metrics/journal/journal.ts';
import { PoisonRecords } from '../../src/metrics/journal/poison-records.ts';
import type { CampaignMetricsReader } from '../../src/metrics/read/campaign-metrics-reader.ts';
import type { MetricsServices } from '../../src/metrics/services.ts';
import { queueSender } from '../../src/storage/queue-sender.ts';
import { WorkStore } from '../../src/storage/work-store.ts';
import type { Azurite } from '../azurite.ts';
import { MemoryTable } from './memory-table.ts';

export interface World<T> {
  services: MetricsServices;
  table: T;
  container: ContainerClient;
  queue: QueueClient;
  logged: { level: string; message: string; properties?: Record<string, unknown> }[];
  /** Creates another instance of the app on the same storage and Dataverse. */
  another(): MetricsServices;
}

/** Storage in the emulator, a Dataverse table in memory (or the given one), settings without delays. */
export function createWorld<T extends MetricsServices['table'] = MemoryTable>(
  azurite: Azurite,
  options: {
    settings?: Partial<MetricsSettings>;
    table?: T;
    sealAt?: number;
    reader?: CampaignMetricsReader;
  } = {},
): World<T> {
  const name = `t${randomUUID()}`;
  const container = BlobServiceClient.fromConnectionString(azurite.connectionString).getContainerClient(name);
  const queues = QueueServiceClient.fromConnectionString(azurite.connectionString);
  const queue = queues.getQueueClient(name);
  const table = options.table ?? (new MemoryTable() as unknown as T);
  const logged: World<T>['logged'] = [];
  const another = (): MetricsServices => ({
    settings: { ...readMetricsSettings({}), bulkIntervalMs: 0, writeTimeoutMs: 500, ...options.settings },
    table,
    // A machine that stalls for seconds must not lose the lease.
    journal: new Journal(container, { sealAt: options.sealAt, leaseSeconds: 60 }),
    poison: new PoisonRecords(new WorkStore(container)),
    reader: options.reader ?? (undefined as never),
    drainQueue: new DrainQueue(queue, { app: 'this-app', container: `${container.accountName}/${name}` }),
    sendTo: (to, message, visibilityTimeout) =>
      queueSender(queues.getQueueClient(to))(message, { visibilityTimeout }),
    log: (level, message, properties) => logged.push({ level, message, properties }),
    event: () => {},
    metric: () => {},
    now: () => new Date(),
  });
  return { services: another(), table, container, queue, logged, another };
}

export function input(more: Partial<CampaignMetricsInput> = {}): CampaignMetricsInput {
  return {
    campaignId: 'spring',
    runId: 'run-1',
    agentsTotal: 8,
    agentsSuccessful: 6,
    assetsGenerated: 12,
    tokensIn: 1000,
    tokensOut: 2000,
    latencyP95Ms: 900,
    latencyAvgMs: 300,
    costUSD: 1.25,
    ...more,
  };
}

export function record(more: Partial<CampaignMetrics> = {}): CampaignMetrics {
  return {
    ...(input() as CampaignMetrics),
    phase: '2-3',
    successRate: 75,
    createdAt: '2026-11-21T10:00:00Z',
    ...more,
  };
}

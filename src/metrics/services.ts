import type { MetricsSettings } from '../config/metrics-settings.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import type { DrainQueue } from './journal/drain-queue.ts';
import type { Journal } from './journal/journal.ts';
import type { PoisonRecords } from './journal/poison-records.ts';
import type { CampaignMetricsReader } from './read/campaign-metrics-reader.ts';
import type { MetricsTable } from './table/dataverse-metrics-table.ts';

/** What campaign metrics work with. Created once per process; tests create their own. */
export interface MetricsServices extends Telemetry {
  settings: MetricsSettings;
  table: MetricsTable;
  reader: CampaignMetricsReader;
  journal: Journal;
  poison: PoisonRecords;
  drainQueue: DrainQueue;
  /** Sends a message to the queue of this name, to be delivered after some seconds. */
  sendTo: (queue: string, message: object, delaySeconds: number) => Promise<void>;
  now: () => Date;
}

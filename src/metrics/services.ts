import type { MetricsSettings } from '../config/metrics-settings.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import type { Journal } from './journal/journal.ts';
import type { CampaignMetricsReader } from './read/read-campaign-metrics.ts';
import type { MetricsTable } from './table/dataverse-metrics-table.ts';
import type { DrainQueue } from './write/drain-queue.ts';
import type { PoisonRecords } from './write/poison-records.ts';

/** What campaign metrics work with. Created once per process; tests create their own. */
export interface MetricsServices extends Telemetry {
  settings: MetricsSettings;
  table: MetricsTable;
  reader: CampaignMetricsReader;
  journal: Journal;
  poison: PoisonRecords;
  drainQueue: DrainQueue;
  now: () => Date;
}

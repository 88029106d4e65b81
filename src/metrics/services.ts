import type { MetricsSettings } from '../config/metrics-settings.ts';
import type { Journal } from './journal/journal.ts';
import type { CampaignMetricsReader } from './read/read-campaign-metrics.ts';
import type { MetricsTable } from './table/metrics-table.ts';
import type { PoisonRecords } from './write/poison-records.ts';
import type { WakeUp } from './write/wake-up.ts';

export type MetricsLog = (
  level: 'debug' | 'info' | 'warn' | 'error',
  message: string,
  properties?: Record<string, unknown>,
) => void;

/** What campaign metrics work with. Made once per process; tests make their own. */
export interface MetricsServices {
  settings: MetricsSettings;
  table: MetricsTable;
  journal: Journal;
  poison: PoisonRecords;
  reader: CampaignMetricsReader;
  wakeUp: WakeUp;
  log: MetricsLog;
  /** Something that happened, with figures, for the monitor. */
  event: (name: string, properties: Record<string, string>, figures: Record<string, number>) => void;
  now: () => Date;
}

import type { MetricsSettings } from '../config/metrics-settings.ts';
import type { Journal } from './journal.ts';
import type { MetricsTable } from './metrics-table.ts';
import type { PoisonRecords } from './poison-records.ts';
import type { CampaignMetricsReader } from './read-campaign-metrics.ts';
import type { WakeUp } from './wake-up.ts';

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

import * as z from 'zod';
import { parseSettings } from './parse-settings.ts';

const logicalName = (fallback: string) =>
  z
    .string()
    .regex(/^[a-z][a-z0-9]{1,7}_[a-z0-9_]{1,80}$/, 'is not a logical name with a publisher prefix')
    .default(fallback);

/** Milliseconds from `5` or `5s` (seconds), `500ms` or `2m`. A number of 1,000 or more without a unit is milliseconds. */
const duration = (fallback: string, minMs: number, maxMs: number) =>
  z
    .string()
    .default(fallback)
    .transform((text) => {
      const [, value, unit] = /^(\d+(?:\.\d+)?)\s*(ms|s|m)?$/.exec(text.trim()) ?? [];
      const unitMs = { ms: 1, s: 1_000, m: 60_000 }[unit ?? (Number(value) >= 1_000 ? 'ms' : 's')];
      return Number(value) * unitMs!;
    })
    .refine((value) => value >= minMs && value <= maxMs, {
      error: `must be from ${minMs / 1000} to ${maxMs / 1000} seconds, such as 5, 5s or 500ms`,
    });

/** The table of campaign metrics where no setting names one. It need not exist: not every app uses campaign metrics. */
export const defaultMetricsTable = 'apex_campaignmetrics';

const appSettings = z.object({
  METRICS_TABLE: logicalName(defaultMetricsTable),
  METRICS_ENTITY_SET: logicalName('apex_campaignmetricses'),
  METRICS_COLUMN_PREFIX: z
    .string()
    .regex(/^[a-z][a-z0-9]{1,7}_$/, 'is not a publisher prefix with its underscore, such as apex_')
    .default('apex_'),
  METRICS_WRITE_TIMEOUT: duration('5', 50, 200_000),
  METRICS_BULK_TIMEOUT: duration('20', 1_000, 120_000),
  METRICS_BULK_SIZE: z.coerce.number().int().min(1).max(1_000).default(1_000),
  METRICS_BULK_INTERVAL: duration('1', 0, 60_000),
  METRICS_MAX_BODY_MB: z.coerce.number().min(0.01).max(50).default(4),
});

/** All app settings of campaign metrics. */
export const metricsSettingNames = Object.keys(appSettings.shape);

/** What app settings decide about campaign metrics. Times in milliseconds, sizes in bytes. */
export type MetricsSettings = ReturnType<typeof readMetricsSettings>;

/**
 * Reads and validates the settings of campaign metrics.
 * @throws ConfigurationError that names every invalid setting
 */
export function readMetricsSettings(env: Record<string, string | undefined> = process.env) {
  const settings = parseSettings(appSettings, env, {
    operation: 'read the settings of campaign metrics',
    hint: 'Set them in the function app, or in local.settings.json when running locally.',
  });
  return {
    /** The table's logical name. Its primary key is this name + `id`, as in every Dataverse table. */
    table: settings.METRICS_TABLE,
    entitySet: settings.METRICS_ENTITY_SET,
    /** The publisher prefix of the columns, with its underscore. */
    prefix: settings.METRICS_COLUMN_PREFIX,
    /** How long a caller waits for Dataverse before its record is queued. */
    writeTimeoutMs: settings.METRICS_WRITE_TIMEOUT,
    /** How long one bulk write can take at first; doubled after a timeout. */
    bulkTimeoutMs: settings.METRICS_BULK_TIMEOUT,
    /** Records that are created with one request, and at most this many are written at once. */
    bulkSize: settings.METRICS_BULK_SIZE,
    /** Minimum delay between bulk writes that are not full. */
    bulkIntervalMs: settings.METRICS_BULK_INTERVAL,
    /** The largest accepted body. */
    maxBodyBytes: Math.round(settings.METRICS_MAX_BODY_MB * 1024 * 1024),
  };
}

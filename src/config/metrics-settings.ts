import { z } from 'zod';
import { ConfigurationError } from '../errors.ts';

/** What app settings decide about campaign metrics. Times in milliseconds, sizes in bytes. */
export interface MetricsSettings {
  /** The table's logical name. Its primary id is this name + `id`, as for every Dataverse table. */
  table: string;
  entitySet: string;
  /** The publisher's prefix of the columns, with its underscore. */
  prefix: string;
  /** How long a caller waits for Dataverse before the record is queued instead. */
  writeTimeoutMs: number;
  /** How long one bulk write may take at first; it is given more when it times out. */
  bulkTimeoutMs: number;
  /** Records in one `UpsertMultiple`. */
  bulkSize: number;
  /** The shortest time between two bulk writes that are not full. */
  bulkIntervalMs: number;
  /** The largest body that is read. */
  maxBodyBytes: number;
}

const logicalName = (fallback: string) =>
  z
    .string()
    .regex(/^[a-z][a-z0-9]{1,7}_[a-z0-9_]{1,80}$/, 'is no logical name with a publisher prefix')
    .default(fallback);

/** Milliseconds from `5` or `5s` (seconds), `500ms` or `2m`. Nobody means 1,000 seconds or more: milliseconds then. */
function milliseconds(text: string): number {
  const found = /^(\d+(?:\.\d+)?)\s*(ms|s|m)?$/.exec(text.trim());
  if (found === null) return Number.NaN;
  const value = Number(found[1]);
  const unit = found[2] ?? (value >= 1_000 ? 'ms' : 's');
  return value * { ms: 1, s: 1_000, m: 60_000 }[unit as 'ms' | 's' | 'm'];
}

const duration = (fallback: string, minMs: number, maxMs: number) =>
  z
    .string()
    .default(fallback)
    .transform(milliseconds)
    .refine((value) => value >= minMs && value <= maxMs, {
      error: `must be from ${minMs / 1000} to ${maxMs / 1000} seconds, as 5, 5s or 500ms`,
    });

const appSettings = z.object({
  METRICS_TABLE: logicalName('apex_campaignmetrics'),
  METRICS_ENTITY_SET: logicalName('apex_campaignmetricses'),
  METRICS_COLUMN_PREFIX: z
    .string()
    .regex(/^[a-z][a-z0-9]{1,7}_$/, 'is no publisher prefix with its underscore, such as apex_')
    .default('apex_'),
  METRICS_WRITE_TIMEOUT: duration('5', 50, 200_000),
  METRICS_BULK_TIMEOUT: duration('20', 1_000, 120_000),
  METRICS_BULK_SIZE: z.coerce.number().int().min(1).max(1_000).default(1_000),
  METRICS_BULK_INTERVAL: duration('1', 0, 60_000),
  METRICS_MAX_BODY_MB: z.coerce.number().min(0.01).max(50).default(4),
});

/**
 * Reads and checks the settings of campaign metrics.
 * @throws ConfigurationError that names every wrong setting
 */
export function readMetricsSettings(env: Record<string, string | undefined> = process.env): MetricsSettings {
  // An empty setting means: not set. Azure shows settings that were cleared as empty.
  const given = Object.fromEntries(
    Object.entries(env).filter(([, value]) => value !== undefined && value.trim() !== ''),
  );
  const parsed = appSettings.safeParse(given);
  if (!parsed.success) {
    const faults = parsed.error.issues.map((issue) => `${String(issue.path[0])}: ${issue.message}`);
    throw new ConfigurationError(`Wrong app settings: ${faults.join('; ')}.`, {
      operation: 'read the settings of campaign metrics',
      hint: 'README.md has a table of them.',
    });
  }
  const s = parsed.data;
  return {
    table: s.METRICS_TABLE,
    entitySet: s.METRICS_ENTITY_SET,
    prefix: s.METRICS_COLUMN_PREFIX,
    writeTimeoutMs: s.METRICS_WRITE_TIMEOUT,
    bulkTimeoutMs: s.METRICS_BULK_TIMEOUT,
    bulkSize: s.METRICS_BULK_SIZE,
    bulkIntervalMs: s.METRICS_BULK_INTERVAL,
    maxBodyBytes: Math.round(s.METRICS_MAX_BODY_MB * 1024 * 1024),
  };
}

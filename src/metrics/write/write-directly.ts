import type { MetricsServices } from '../services.ts';
import type { MetricsRow } from '../table/campaign-metrics-columns.ts';
import { consequenceOf } from '../table/write-consequence.ts';

export type DirectResult =
  | { outcome: 'created' | 'updated'; row: MetricsRow }
  | { outcome: 'refused'; row: MetricsRow; error: Error };

/**
 * Writes rows to Dataverse while the caller waits, up to `METRICS_WRITE_TIMEOUT`.
 * @returns the result of each row; undefined if the row may not be written and must be queued
 * @throws ConfigurationError, SkipTableError if Dataverse is not set up for campaign metrics
 */
export async function writeDirectly(
  services: MetricsServices,
  rows: readonly MetricsRow[],
): Promise<(DirectResult | undefined)[]> {
  const signal = AbortSignal.timeout(services.settings.writeTimeoutMs);
  const [first] = rows;
  try {
    if (rows.length > 1) return await writeList(services, rows, signal);
    const { created, row } = await services.table.write(first!, signal);
    return [{ outcome: created ? 'created' : 'updated', row }];
  } catch (error) {
    const consequence = consequenceOf(error);
    if (consequence === 'retry') return rows.map(() => undefined);
    if (consequence === 'setup' || rows.length > 1) throw error;
    return [{ outcome: 'refused', row: first!, error: error as Error }];
  }
}

/**
 * A bulk write does not tell which rows it created, so the existing ones are read first. A row that is twice in the
 * list is written once, with its last value, and reported as if both had been written one after the other.
 */
async function writeList(
  services: MetricsServices,
  rows: readonly MetricsRow[],
  signal: AbortSignal,
): Promise<DirectResult[]> {
  const last = new Map(rows.map((row) => [row.id, row]));
  const existing = await services.table.existing([...last.keys()], signal);
  const refused = await services.table.writeMany([...last.values()], signal);
  const errors = new Map(refused.map(({ id, error }) => [id, error]));
  return rows.map((row) => {
    const error = errors.get(row.id);
    if (error !== undefined) return { outcome: 'refused', row, error };
    const outcome = existing.has(row.id) ? 'updated' : 'created';
    existing.add(row.id);
    return { outcome, row };
  });
}

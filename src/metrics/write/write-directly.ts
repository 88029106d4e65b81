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
    const { created, row } = await services.table.write(first!, { signal });
    return [{ outcome: created ? 'created' : 'updated', row }];
  } catch (error) {
    const consequence = consequenceOf(error);
    if (consequence === 'retry') return rows.map(() => undefined);
    if (consequence === 'setup' || rows.length > 1) throw error;
    return [{ outcome: 'refused', row: first!, error: error as Error }];
  }
}

/**
 * A row that is twice in the list is written once, with its last value, and reported as if both had been written one
 * after the other.
 */
async function writeList(
  services: MetricsServices,
  rows: readonly MetricsRow[],
  signal: AbortSignal,
): Promise<(DirectResult | undefined)[]> {
  const last = [...new Map(rows.map((row) => [row.id, row])).values()];
  const results = await services.table.writeMany(last, { signal });
  const byId = new Map(last.map(({ id }, index) => [id, results[index]!]));
  const seen = new Set<string>();
  return rows.map((row) => {
    const result = byId.get(row.id)!;
    if ('refused' in result) return { outcome: 'refused', row, error: result.refused };
    if ('unknown' in result) {
      // The other fault would hit every record, also those that were queued.
      if (consequenceOf(result.unknown) !== 'retry') throw result.unknown;
      return undefined;
    }
    const isCreated = result.created && !seen.has(row.id);
    seen.add(row.id);
    return { outcome: isCreated ? 'created' : 'updated', row: { id: result.id, record: row.record } };
  });
}

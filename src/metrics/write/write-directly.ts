import type { MetricsServices } from '../services.ts';
import type { MetricsRow } from '../table/metrics-table.ts';
import { consequenceOf } from './write-consequence.ts';

/** What became of one row. `later`: it is not known to be written. */
export type DirectResult =
  | { outcome: 'created' | 'updated'; row: MetricsRow }
  | { outcome: 'refused'; row: MetricsRow; error: Error }
  | { outcome: 'later'; row: MetricsRow };

/**
 * Writes rows to Dataverse while the caller waits, for no longer than `METRICS_WRITE_TIMEOUT`.
 * @throws ConfigurationError, SkipTableError where Dataverse is not set up
 */
export async function writeDirectly(
  services: MetricsServices,
  rows: readonly MetricsRow[],
): Promise<DirectResult[]> {
  const signal = AbortSignal.timeout(services.settings.writeTimeoutMs);
  if (rows.length === 1) return [await writeOne(services, rows[0]!, signal)];
  try {
    return await writeList(services, rows, signal);
  } catch (error) {
    if (consequenceOf(error) !== 'later') throw error;
    return rows.map((row) => ({ outcome: 'later', row }));
  }
}

async function writeOne(
  services: MetricsServices,
  row: MetricsRow,
  signal: AbortSignal,
): Promise<DirectResult> {
  try {
    const written = await services.table.write(row, signal);
    return { outcome: written.created ? 'created' : 'updated', row: written.row };
  } catch (error) {
    const consequence = consequenceOf(error);
    if (consequence === 'later') return { outcome: 'later', row };
    if (consequence === 'setup') throw error;
    return { outcome: 'refused', row, error: error as Error };
  }
}

/**
 * A bulk write does not say which rows it created, so that is asked first. The same row twice in one list is
 * written once, with its last value, and reported as if one had been written after the other.
 */
async function writeList(
  services: MetricsServices,
  rows: readonly MetricsRow[],
  signal: AbortSignal,
): Promise<DirectResult[]> {
  const last = new Map(rows.map((row) => [row.id, row]));
  const seen = await services.table.existing([...last.keys()], signal);
  const refused = new Map(
    (await services.table.writeMany([...last.values()], signal)).map((row) => [row.id, row.error]),
  );
  return rows.map((row) => {
    const error = refused.get(row.id);
    if (error !== undefined) return { outcome: 'refused', row, error };
    const outcome = seen.has(row.id) ? 'updated' : 'created';
    seen.add(row.id);
    return { outcome, row };
  });
}

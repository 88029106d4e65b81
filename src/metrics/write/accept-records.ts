import { campaignMetricsId } from '../contract/campaign-metrics-id.ts';
import type { CampaignMetrics } from '../contract/contract.ts';
import { ticketOf } from '../journal/journal-entry.ts';
import type { MetricsServices } from '../services.ts';
import type { MetricsRow } from '../table/metrics-table.ts';
import { type DirectResult, writeDirectly } from './write-directly.ts';

/** What became of one record. */
export type Accepted =
  | { outcome: 'created' | 'updated'; row: MetricsRow }
  | { outcome: 'queued'; row: MetricsRow; ticket: string }
  | { outcome: 'refused'; row: MetricsRow; error: Error };

/** After a direct write failed, all records are queued for so long … */
const pauseMs = 1_000;
/** … and for so long while the journal's writer has no luck either. */
const outageMs = 60_000;
const lastFailure = new WeakMap<MetricsServices, number>();

/**
 * Takes records: writes them to Dataverse, or puts them into the journal where Dataverse cannot be written to
 * in time. When it returns, every record is durable, or refused and nowhere.
 *
 * Order per row: a record whose row has an older value waiting goes into the journal behind it, even if it was
 * written directly too. The look into the journal runs beside the direct write, because whatever was
 * acknowledged before this request came is in the journal by now.
 *
 * @param queue put all into the journal without trying to write
 * @throws ConfigurationError, SkipTableError where Dataverse is not set up; RetriableError where storage fails
 */
export async function acceptRecords(
  services: MetricsServices,
  records: readonly CampaignMetrics[],
  queue: boolean,
): Promise<Accepted[]> {
  const rows = records.map((record) => ({ id: campaignMetricsId(record), record }));
  if (queue) return enqueue(services, rows);
  const looking = services.journal.progress();
  looking.catch(() => undefined); // Awaited below; until then a failure must not count as unhandled.
  const sinceFailure = Date.now() - (lastFailure.get(services) ?? 0);
  if (sinceFailure < pauseMs) return enqueue(services, rows);
  if (sinceFailure < outageMs) {
    const { pending, state } = await looking;
    if (pending && state.failures > 0) return enqueue(services, rows);
  }
  const results = await writeDirectly(services, rows);
  if (results.some((result) => result.outcome === 'later')) lastFailure.set(services, Date.now());
  const progress = await looking;
  const isWaiting = await services.journal.pendingRows(progress);
  const poison = progress.state.poison > 0 ? await services.poison.ids() : new Set<string>();
  const mustQueue = (row: MetricsRow, result: DirectResult) =>
    result.outcome === 'later' || (result.outcome !== 'refused' && (isWaiting(row.id) || poison.has(row.id)));
  const toQueue = rows.filter((row, i) => mustQueue(row, results[i]!));
  const queued = new Map((await enqueue(services, toQueue)).map((accepted) => [accepted.row, accepted]));
  return rows.map((row, i) => {
    const result = results[i]!;
    return result.outcome === 'later' ? queued.get(row)! : result;
  });
}

async function enqueue(services: MetricsServices, rows: readonly MetricsRow[]): Promise<Accepted[]> {
  if (rows.length === 0) return [];
  await services.wakeUp.insure();
  const acceptedAt = services.now().toISOString();
  const positions = await services.journal.append(rows.map(({ id, record }) => ({ id, acceptedAt, record })));
  services.wakeUp.soon();
  return rows.map((row, i) => ({ outcome: 'queued', row, ticket: ticketOf(positions[i]!) }));
}

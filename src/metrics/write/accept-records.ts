import type { CampaignMetrics } from '../contract/campaign-metrics-fields.ts';
import { campaignMetricsId } from '../contract/campaign-metrics-id.ts';
import { ticketOf } from '../journal/journal-entry.ts';
import type { MetricsServices } from '../services.ts';
import type { MetricsRow } from '../table/campaign-metrics-columns.ts';
import { type DirectResult, writeDirectly } from './write-directly.ts';

/** What happened to one record. */
export type Accepted = DirectResult | { outcome: 'queued'; row: MetricsRow; ticket: string };

/** After a direct write failed, all records are queued for this long … */
const pauseMs = 1_000;
/** … and for this long while the drain fails, too. */
const outageMs = 60_000;
const lastFailure = new WeakMap<MetricsServices, number>();

/**
 * Accepts records: writes them to Dataverse, or appends them to the journal if Dataverse cannot be written to in
 * time. When it returns, every record is durable, or rejected and stored nowhere.
 *
 * If the journal holds an older value of a row, the record is appended behind it even if it was also written directly:
 * otherwise the drain would overwrite it with the older value. The journal is checked while the direct write runs,
 * because every record that was acknowledged before this request is in the journal by then.
 *
 * @param queue append all records to the journal without a direct write
 * @throws ConfigurationError, SkipTableError if Dataverse is not set up; RetriableError if storage fails
 */
export async function acceptRecords(
  services: MetricsServices,
  records: readonly CampaignMetrics[],
  queue: boolean,
): Promise<Accepted[]> {
  const rows = records.map((record) => ({ id: campaignMetricsId(record), record }));
  if (queue) return enqueue(services, rows);
  const pendingProgress = services.journal.progress();
  pendingProgress.catch(() => undefined); // Awaited below; until then a failure must not count as unhandled.
  const sinceFailure = Date.now() - (lastFailure.get(services) ?? 0);
  if (sinceFailure < pauseMs) return enqueue(services, rows);
  if (sinceFailure < outageMs) {
    const { pending, state } = await pendingProgress;
    if (pending && state.failures > 0) return enqueue(services, rows);
  }
  const results = await writeDirectly(services, rows);
  if (results.includes(undefined)) lastFailure.set(services, Date.now());
  const progress = await pendingProgress;
  const isPending = await services.journal.pendingRows(progress);
  const poison = progress.state.poison > 0 ? await services.poison.ids() : new Set<string>();
  const toQueue = rows.filter(({ id }, i) => {
    const result = results[i];
    return result === undefined || (result.outcome !== 'refused' && (isPending(id) || poison.has(id)));
  });
  const queued = new Map((await enqueue(services, toQueue)).map((accepted) => [accepted.row, accepted]));
  return rows.map((row, i) => results[i] ?? queued.get(row)!);
}

async function enqueue(services: MetricsServices, rows: readonly MetricsRow[]): Promise<Accepted[]> {
  if (rows.length === 0) return [];
  await services.drainQueue.cover();
  const acceptedAt = services.now().toISOString();
  const positions = await services.journal.append(rows.map(({ id, record }) => ({ id, acceptedAt, record })));
  services.drainQueue.trigger();
  return rows.map((row, i) => ({ outcome: 'queued', row, ticket: ticketOf(positions[i]!) }));
}

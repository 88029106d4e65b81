import type { CampaignMetrics } from '../contract/campaign-metrics-fields.ts';
import { campaignMetricsId } from '../contract/campaign-metrics-id.ts';
import type { JournalProgress } from '../journal/journal.ts';
import { ticketOf } from '../journal/journal-entry.ts';
import type { MetricsServices } from '../services.ts';
import type { MetricsRow } from '../table/campaign-metrics-columns.ts';
import { type DirectResult, writeDirectly } from './write-directly.ts';

/** What happened to one record. */
export type Accepted = DirectResult | { outcome: 'queued'; row: MetricsRow; ticket: string };

/** After a direct write failed, all records are queued for a fifth of the time that it may take, at most for this long … */
const maxPauseMs = 1_000;
/** … and for this long while the drain fails, too. */
const outageMs = 60_000;
const lastFailure = new WeakMap<MetricsServices, number>();

/**
 * Accepts records: writes them to Dataverse, or appends them to the journal if Dataverse cannot be written to in
 * time. When it returns, every record is durable, or rejected and stored nowhere.
 *
 * @param queue append all records to the journal without a direct write
 * @throws ConfigurationError if Dataverse rejects this app or its table is missing, if storage rejects this app, or if the
 * journal is of another environment
 * @throws RetriableError if storage does not answer. Records may be written all the same: sending them again is safe
 */
export async function acceptRecords(
  services: MetricsServices,
  records: readonly CampaignMetrics[],
  queue: boolean,
): Promise<Accepted[]> {
  const all = await accept(services, records, queue);
  const counts = Map.groupBy(all, ({ outcome }) => outcome);
  for (const [outcome, some] of counts) {
    services.metric('campaignMetrics.received', some.length, { outcome });
  }
  return all;
}

async function accept(
  services: MetricsServices,
  records: readonly CampaignMetrics[],
  queue: boolean,
): Promise<Accepted[]> {
  await services.journal.claim();
  const rows = records.map((record) => ({ id: campaignMetricsId(record), record }));
  const sinceFailure = Date.now() - (lastFailure.get(services) ?? 0);
  const pauseMs = Math.min(maxPauseMs, services.settings.writeTimeoutMs / 5);
  if (queue || sinceFailure < pauseMs) return enqueue(services, rows);
  const progress = services.journal.progress();
  // The journal is read while Dataverse writes: all records that were acknowledged before this request are in it.
  const checking = progress.then((found) => journaledRows(services, found));
  checking.catch(() => undefined); // Awaited below; until then a failure must not count as unhandled.
  if (sinceFailure < outageMs) {
    const { pending, state } = await progress;
    if (pending && state.failures > 0) return enqueue(services, rows);
  }
  const results = await writeDirectly(services, rows);
  if (results.includes(undefined)) lastFailure.set(services, Date.now());
  const isJournaled = await checking;
  const toQueue = rows.filter(({ id }, i) => {
    const result = results[i];
    return result === undefined || (result.outcome !== 'refused' && isJournaled(id));
  });
  const queued = new Map((await enqueue(services, toQueue)).map((accepted) => [accepted.row, accepted]));
  return rows.map((row, i) => results[i] ?? queued.get(row)!);
}

/**
 * Returns whether the journal holds an older value of a row, pending or poison. A newer value is then appended behind
 * it, even if it was also written directly: otherwise the drain or a replay would overwrite it.
 */
async function journaledRows(
  services: MetricsServices,
  progress: JournalProgress,
): Promise<(id: string) => boolean> {
  const isPending = await services.journal.pendingRows(progress);
  if (progress.state.poison === 0) return isPending;
  // The ids of poison records of an earlier version tell nothing until the next drain has renewed them.
  if (progress.state.poisonIds === 0) return () => true;
  const poison = await services.poison.ids();
  return (id) => isPending(id) || poison.has(id);
}

async function enqueue(services: MetricsServices, rows: readonly MetricsRow[]): Promise<Accepted[]> {
  if (rows.length === 0) return [];
  await services.drainQueue.cover();
  const acceptedAt = services.now().toISOString();
  const positions = await services.journal.append(rows.map(({ id, record }) => ({ id, acceptedAt, record })));
  services.drainQueue.trigger();
  return rows.map((row, i) => ({ outcome: 'queued', row, ticket: ticketOf(positions[i]!) }));
}

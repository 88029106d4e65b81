import { campaignMetricsId } from './campaign-metrics-id.ts';
import type { CampaignMetrics } from './contract.ts';
import { ticketOf } from './journal-entry.ts';
import type { MetricsRow } from './metrics-table.ts';
import type { MetricsServices } from './services.ts';
import { type DirectResult, writeDirectly } from './write-directly.ts';

/** What became of one record. */
export type Accepted =
  | { outcome: 'created' | 'updated'; row: MetricsRow }
  | { outcome: 'queued'; row: MetricsRow; ticket: string }
  | { outcome: 'refused'; row: MetricsRow; error: Error };

/** While records waited so recently, new ones are not tried directly before looking. */
const pendingMemoryMs = 2_000;
const lastPending = new WeakMap<MetricsServices, number>();

/**
 * Takes records: writes them to Dataverse, or puts them into the journal where Dataverse cannot be written to
 * in time. When it returns, every record is durable, or refused and nowhere.
 *
 * Order per row: a record whose row may have an older value waiting goes into the journal behind it, even if
 * it could be written directly too. The look into the journal runs beside the direct write, because whatever
 * was acknowledged before this request came is in the journal by now.
 *
 * @param queue put all into the journal without trying to write
 * @throws ConfigurationError, SkipEntityError where Dataverse is not set up; RetriableError where storage fails
 */
export async function acceptRecords(
  services: MetricsServices,
  records: readonly CampaignMetrics[],
  queue: boolean,
): Promise<Accepted[]> {
  const rows = records.map((record) => ({ id: campaignMetricsId(record), record }));
  if (queue) return enqueue(services, rows);
  const looking = services.journal.look();
  looking.catch(() => undefined); // Awaited below; until then a failure must not count as unhandled.
  if (Date.now() - (lastPending.get(services) ?? 0) < pendingMemoryMs && (await looking).pending) {
    return enqueue(services, rows);
  }
  const results = await writeDirectly(services, rows);
  const { pending, state } = await looking;
  const poison = state.poison > 0 ? await services.poison.ids() : new Set<string>();
  const mustQueue = (row: MetricsRow, result: DirectResult) =>
    result.outcome === 'later' || (result.outcome !== 'refused' && (pending || poison.has(row.id)));
  const toQueue = rows.filter((row, i) => mustQueue(row, results[i]!));
  const queued = new Map((await enqueue(services, toQueue)).map((accepted) => [accepted.row, accepted]));
  return rows.map((row, i) => {
    const result = results[i]!;
    return result.outcome === 'later' ? queued.get(row)! : result;
  });
}

async function enqueue(services: MetricsServices, rows: readonly MetricsRow[]): Promise<Accepted[]> {
  if (rows.length === 0) return [];
  lastPending.set(services, Date.now());
  await services.wakeUp.insure();
  const acceptedAt = services.now().toISOString();
  const positions = await services.journal.append(rows.map(({ id, record }) => ({ id, acceptedAt, record })));
  services.wakeUp.soon();
  return rows.map((row, i) => ({ outcome: 'queued', row, ticket: ticketOf(positions[i]!) }));
}

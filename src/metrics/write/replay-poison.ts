import type { PoisonRecord } from '../journal/poison-records.ts';
import type { MetricsServices } from '../services.ts';

/**
 * Queues poison records again. Each stays a poison record until it is written, or until a newer value of its row is
 * written, which drops it.
 * @param options `ids`: only the records of these rows, all if empty
 * @returns the records that are queued again, or would be
 * @throws OtherEnvironmentError if the journal is of another environment of Dataverse
 */
export async function replayPoison(
  services: MetricsServices,
  options: { ids?: readonly string[]; dryRun?: boolean } = {},
): Promise<PoisonRecord[]> {
  const { ids = [], dryRun = false } = options;
  const records: PoisonRecord[] = [];
  for (const id of await services.poison.ids()) {
    const record = ids.length === 0 || ids.includes(id) ? await services.poison.get(id) : undefined;
    if (record !== undefined) records.push(record);
  }
  if (dryRun || records.length === 0) return records;
  await services.journal.claim();
  await services.drainQueue.cover();
  await services.journal.append(
    records.map(({ id, ticket, acceptedAt, record }) => ({ id, acceptedAt, record, replayOf: ticket })),
  );
  await services.drainQueue.schedule(0);
  return records;
}

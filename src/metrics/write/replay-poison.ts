import type { MetricsServices } from '../services.ts';
import type { PoisonRecord } from './poison-records.ts';

/**
 * Queues poison records again. They stay where they are until they are written, or refused anew; where a
 * newer value of a row is written first, the old one is dropped.
 * @param ids only these rows; all where empty
 */
export async function replayPoison(
  services: MetricsServices,
  options: { ids?: readonly string[]; dryRun?: boolean } = {},
): Promise<PoisonRecord[]> {
  const wanted = new Set(options.ids ?? []);
  const records: PoisonRecord[] = [];
  for (const id of await services.poison.ids()) {
    if (wanted.size > 0 && !wanted.has(id)) continue;
    const record = await services.poison.get(id);
    if (record !== undefined) records.push(record);
  }
  if (options.dryRun === true || records.length === 0) return records;
  await services.wakeUp.insure();
  await services.journal.append(
    records.map(({ id, ticket, acceptedAt, record }) => ({ id, acceptedAt, record, replayOf: ticket })),
  );
  await services.wakeUp.later(0);
  return records;
}

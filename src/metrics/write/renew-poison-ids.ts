import { campaignMetricsId } from '../contract/campaign-metrics-id.ts';
import { isBefore, parseTicket } from '../journal/journal-entry.ts';
import type { JournalLease } from '../journal/journal-lease.ts';
import type { PoisonRecord, PoisonRecords } from '../journal/poison-records.ts';

/**
 * Puts the poison records of earlier versions of this app, which derived other ids from the same key, under the ids of
 * this version. Otherwise a newer value would not remove them, and a replay would overwrite it. Of two records of one
 * row the newer stays. Runs once; after a crash it starts again.
 * @throws SyncError if storage fails
 */
export async function renewPoisonIds(poison: PoisonRecords, lease: JournalLease): Promise<void> {
  const ids = await poison.ids();
  for (const earlierId of [...ids]) {
    const record = await poison.get(earlierId);
    const id = record && campaignMetricsId(record.record);
    if (id === undefined || id === earlierId) continue;
    lease.confirm();
    if (isNewer(record!, await poison.get(id))) await poison.put({ ...record!, id });
    ids.add(id);
    await poison.remove(earlierId);
    ids.delete(earlierId);
  }
  await lease.change({ poison: ids.size, poisonIds: 1 });
}

function isNewer({ ticket }: PoisonRecord, other: PoisonRecord | undefined): boolean {
  const [mine, its] = [parseTicket(ticket), other && parseTicket(other.ticket)];
  return mine === undefined || its === undefined || isBefore(its, mine);
}

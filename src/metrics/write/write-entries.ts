import { type PlacedEntry, ticketOf } from '../journal/journal-entry.ts';
import type { JournalLease } from '../journal/journal-lease.ts';
import type { MetricsServices } from '../services.ts';
import type { RefusedRow } from '../table/metrics-table.ts';
import { replayHint } from './poison-records.ts';

/** Windows are cut to bulk writes; this many are under way at once. Their rows differ, so order is kept. */
const parallelBulks = 2;

/**
 * Writes a window of the journal: of each row the last value only. Where Dataverse refuses a value, it is
 * laid aside as poison and the value before it is written, so the row holds the last value that it can hold.
 * @throws where rows may be unwritten; the whole window is to be written again then
 */
export async function writeEntries(
  services: MetricsServices,
  entries: readonly PlacedEntry[],
  lease: JournalLease,
): Promise<{ written: number; refused: number; poison: number }> {
  const values = await valuesOfRows(services, entries);
  const refused = new Map<string, RefusedRow>();
  const aside: { entry: PlacedEntry; row: RefusedRow }[] = [];
  let open = [...values.keys()];
  while (open.length > 0) {
    const rows = open.map((id) => values.get(id)!.at(-1)!);
    const failed = await writeInBulk(services, rows, lease.lost);
    open = [];
    for (const row of failed) {
      const entry = values.get(row.id)!.pop()!;
      if (!refused.has(row.id)) aside.push({ entry, row });
      refused.set(row.id, row);
      if (values.get(row.id)!.length > 0) open.push(row.id);
      else values.delete(row.id);
    }
  }
  const poison = await keepPoison(services, lease, aside, [...values.keys()]);
  return { written: values.size, refused: aside.length, poison };
}

/** The values of each row, oldest first. A replayed value is as old as it was when it was first accepted. */
async function valuesOfRows(
  services: MetricsServices,
  entries: readonly PlacedEntry[],
): Promise<Map<string, PlacedEntry[]>> {
  const values = new Map<string, PlacedEntry[]>();
  for (const entry of entries) {
    if (entry.replayOf !== undefined) {
      const lying = await services.poison.get(entry.id);
      // Gone, or another: a newer value has taken its place.
      if (lying?.ticket !== entry.replayOf) continue;
    }
    const known = values.get(entry.id);
    if (known === undefined) values.set(entry.id, [entry]);
    else if (entry.replayOf === undefined) known.push(entry);
    else known.unshift(entry);
  }
  return values;
}

async function writeInBulk(
  services: MetricsServices,
  rows: readonly PlacedEntry[],
  lost: AbortSignal,
): Promise<RefusedRow[]> {
  const { bulkSize } = services.settings;
  const bulks = Array.from({ length: Math.ceil(rows.length / bulkSize) }, (_, i) =>
    rows.slice(i * bulkSize, (i + 1) * bulkSize),
  );
  const refused: RefusedRow[] = [];
  const workers = Array.from({ length: Math.min(parallelBulks, bulks.length) }, async () => {
    for (let bulk = bulks.shift(); bulk !== undefined; bulk = bulks.shift()) {
      refused.push(...(await services.table.writeMany(bulk, lost)));
    }
  });
  // All have ended before the outcome is judged: a write must not go on behind the back of the next try.
  const ended = await Promise.allSettled(workers);
  const failed = ended.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  return refused;
}

/** Lays the refused values aside and removes what newer values have overtaken. Tells how many lie there. */
async function keepPoison(
  services: MetricsServices,
  lease: JournalLease,
  aside: readonly { entry: PlacedEntry; row: RefusedRow }[],
  written: readonly string[],
): Promise<number> {
  if (aside.length === 0 && lease.state.poison === 0) return 0;
  const now = services.now().toISOString();
  const ids = await services.poison.ids();
  for (const { entry, row } of aside) {
    const fault = (row.error as { fault?: { code?: string; status?: number; requestId?: string } }).fault;
    const ticket = entry.replayOf ?? ticketOf(entry.position);
    await services.poison.put({
      id: entry.id,
      ticket,
      acceptedAt: entry.acceptedAt,
      refusedAt: now,
      error: row.error.message,
      code: fault?.code,
      status: fault?.status,
      requestId: fault?.requestId,
      record: entry.record,
    });
    ids.add(entry.id);
    services.log('error', 'Dataverse refused campaign metrics; the record lies aside.', {
      id: entry.id,
      ticket,
      reason: row.error.message,
      code: fault?.code,
      requestId: fault?.requestId,
      hint: replayHint,
    });
  }
  const kept = new Set(aside.map(({ entry }) => entry.id));
  for (const id of written) {
    if (ids.has(id) && !kept.has(id)) {
      await services.poison.remove(id);
      ids.delete(id);
    }
  }
  return ids.size;
}

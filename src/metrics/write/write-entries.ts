import { dataverseFault } from '../../dataverse/errors/errors.ts';
import { forEachConcurrently } from '../../storage/for-each-concurrently.ts';
import { type PlacedEntry, ticketOf } from '../journal/journal-entry.ts';
import type { JournalLease } from '../journal/journal-lease.ts';
import { replayHint } from '../journal/poison-records.ts';
import type { MetricsServices } from '../services.ts';
import type { RowResult } from '../table/dataverse-metrics-table.ts';

/** Bulk writes at the same time. They write different rows, so the order of values is kept. */
const parallelBulks = 2;

/** What became of a window. */
export interface WriteReport {
  /** Rows that were written, and rows whose newest value Dataverse rejected. */
  written: number;
  refused: number;
  /** How many poison records exist now. */
  poison: number;
  /** Rows that Dataverse may have written or not, and why. All their entries must be written again. */
  open: ReadonlyMap<string, Error>;
}

/** A rejected value, and why. */
interface Refused {
  entry: PlacedEntry;
  error: Error;
}

/**
 * Writes a window of the journal: of each row only the newest value. If Dataverse rejects it, it becomes a poison
 * record and the value before it is written, so the row holds the newest value that Dataverse accepts.
 * @throws SyncError if storage fails
 * @throws an AbortError if another instance may hold the lease
 */
export async function writeEntries(
  services: MetricsServices,
  entries: readonly PlacedEntry[],
  lease: JournalLease,
): Promise<WriteReport> {
  const values = await valuesByRow(services, entries);
  /** The newest rejected value of each row. */
  const refused = new Map<string, Refused>();
  const open = new Map<string, Error>();
  let ids = [...values.keys()];
  while (ids.length > 0) {
    const newest = ids.map((id) => values.get(id)!.at(-1)!);
    ids = [];
    for (const [{ id }, result] of await writeInBulk(services, newest, lease)) {
      if ('unknown' in result) open.set(id, result.unknown);
      if (!('refused' in result)) continue;
      const older = values.get(id)!;
      const entry = older.pop()!;
      if (!refused.has(id)) refused.set(id, { entry, error: result.refused });
      if (older.length > 0) ids.push(id);
      else values.delete(id);
    }
  }
  for (const id of open.keys()) {
    // What remains of the row is decided together, when it is written again.
    values.delete(id);
    refused.delete(id);
  }
  lease.confirm();
  const poison = await updatePoison(services, lease, refused, values.keys());
  return { written: values.size, refused: refused.size, poison, open };
}

/** The values of each row, oldest first. A replayed value is older than all others. */
async function valuesByRow(
  services: MetricsServices,
  entries: readonly PlacedEntry[],
): Promise<Map<string, PlacedEntry[]>> {
  const values = new Map<string, PlacedEntry[]>();
  for (const entry of entries) {
    const { id, replayOf } = entry;
    // Without its poison record a replayed value is obsolete: a newer value was written or rejected.
    if (replayOf !== undefined && (await services.poison.get(id))?.ticket !== replayOf) continue;
    const known = values.get(id);
    if (known === undefined) values.set(id, [entry]);
    else if (replayOf === undefined) known.push(entry);
    else known.unshift(entry);
  }
  return values;
}

/** Writes rows with different ids, and returns what became of each. */
async function writeInBulk(
  services: MetricsServices,
  rows: readonly PlacedEntry[],
  lease: JournalLease,
): Promise<[PlacedEntry, RowResult][]> {
  const { bulkSize } = services.settings;
  const starts = Array.from({ length: Math.ceil(rows.length / bulkSize) }, (_, i) => i * bulkSize);
  const guard = { signal: lease.lost, confirm: () => lease.confirm() };
  const all: [PlacedEntry, RowResult][] = [];
  await forEachConcurrently(starts, parallelBulks, async (start) => {
    const some = rows.slice(start, start + bulkSize);
    const results = await services.table.writeMany(some, guard);
    all.push(...some.map((row, index): [PlacedEntry, RowResult] => [row, results[index]!]));
  });
  return all;
}

/** Stores rejected values as poison records, deletes those of rows that were written, and counts the rest. */
async function updatePoison(
  services: MetricsServices,
  lease: JournalLease,
  refused: ReadonlyMap<string, Refused>,
  written: Iterable<string>,
): Promise<number> {
  if (refused.size === 0 && lease.state.poison === 0) return 0;
  // Before the first blob: after a crash in between, the next drain looks for poison records and removes obsolete ones.
  if (refused.size > 0 && lease.state.poison === 0) await lease.change({ poison: refused.size });
  const refusedAt = services.now().toISOString();
  const ids = await services.poison.ids();
  for (const [id, { entry, error }] of refused) {
    const { acceptedAt, record, replayOf, position } = entry;
    const { code, status, requestId } = dataverseFault(error) ?? {};
    const ticket = replayOf ?? ticketOf(position);
    const reason = error.message;
    await services.poison.put({
      id,
      ticket,
      acceptedAt,
      refusedAt,
      error: reason,
      code,
      status,
      requestId,
      record,
    });
    ids.add(id);
    const properties = { id, ticket, reason, code, requestId, hint: replayHint };
    services.log(
      'error',
      'Dataverse rejected campaign metrics. They are kept as a poison record.',
      properties,
    );
  }
  for (const id of written) {
    if (!refused.has(id) && ids.delete(id)) await services.poison.remove(id);
  }
  return ids.size;
}

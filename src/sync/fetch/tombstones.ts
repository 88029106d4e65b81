import type { Table } from '../../schema/table.ts';
import type { Shard } from '../../sqlite/shard.ts';
import type { FetchMessage } from '../documents/messages.ts';
import { openShard } from '../documents/open-shard.ts';
import type { SyncServices } from '../documents/services.ts';
import type { Slice } from '../documents/slice.ts';

/**
 * Reads ids again that a delta names both as a row and as deleted. Dataverse lists changed rows "usually" before
 * deletes, not in the order of events (learn.microsoft.com: Use change tracking to synchronize data with external
 * systems). So the order does not tell whether a row was deleted after its change, or created again after its deletion.
 *
 * Afterwards the shards, merged in order, rows before deletes, give the right rows.
 * @param shard of the slice that ends the changes. The keys of a sweep come later, so they never show less than it does.
 * @param readAgain reads the ids into the shard's rows, and those not returned into its `deleted`
 */
export async function resolveTombstones(
  services: SyncServices,
  message: FetchMessage,
  { primaryKey }: Table,
  shard: Shard,
  readAgain: (ids: string[]) => Promise<void>,
): Promise<void> {
  const { runId, round, entity } = message;
  const slices: Slice[] = [];
  for (let k = 0; k < message.slice; k++) {
    const slice = await services.documents.slice(runId, round, entity, k);
    if (slice !== undefined && slice.rowsRead + slice.deleted > 0) slices.push(slice);
  }
  if (shard.deletedCount === 0 && slices.every(({ deleted }) => deleted === 0)) return;
  const rows = new Set<string>();
  const deleted = new Set<string>();
  const collect = (one: Shard): void => {
    for (const id of one.deletedIds()) deleted.add(id);
    for (const id of one.rowIds(primaryKey)) rows.add(id);
  };
  for (const slice of slices) {
    if (slice.shard === undefined) continue;
    const earlier = await openShard(services, slice.shard);
    try {
      collect(earlier);
    } finally {
      earlier.close();
    }
  }
  collect(shard);
  const doubtful = [...deleted].filter((id) => rows.has(id));
  if (doubtful.length === 0) return;
  shard.remove(doubtful, primaryKey);
  await readAgain(doubtful);
}

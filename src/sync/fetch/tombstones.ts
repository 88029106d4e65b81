import type { Table } from '../../schema/table.ts';
import type { Shard } from '../../sqlite/shard.ts';
import type { FetchMessage } from '../documents/messages.ts';
import type { SyncServices } from '../documents/services.ts';
import { openShard } from '../documents/shards.ts';

/**
 * Settles ids that a delta names both as a row and as deleted. Dataverse lists changed rows "usually" before
 * deletes, whatever happened first, so the order in the delta does not tell whether the row was deleted after
 * its change or created again after its deletion
 * (learn.microsoft.com: Use change tracking to synchronize data with external systems). Asking for the ids does.
 *
 * Leaves the last shard so that merging all shards in order is right: rows first, then deletes.
 * @param readAgain reads the ids into the shard's rows; ids not returned go into its `deleted`
 */
export async function resolveTombstones(
  services: SyncServices,
  message: FetchMessage,
  table: Table,
  shard: Shard,
  readAgain: (ids: string[]) => Promise<void>,
): Promise<void> {
  const rows = new Set<string>();
  const deleted = new Set<string>();
  const collect = (db: Shard['db']): void => {
    for (const { id } of db.all<{ id: string }>('SELECT id FROM deleted')) deleted.add(id);
    for (const { id } of db.all<{ id: string }>(`SELECT "${table.primaryKey}" AS id FROM rows`)) rows.add(id);
  };
  for (let k = 0; k < message.slice; k++) {
    const slice = await services.documents.slice(message.runId, message.round, message.entity, k);
    if (slice?.shard === undefined) continue;
    const earlier = await openShard(services, slice.shard);
    try {
      collect(earlier);
    } finally {
      earlier.close();
    }
  }
  collect(shard.db);
  const doubtful = [...deleted].filter((id) => rows.has(id));
  if (doubtful.length === 0) return;

  for (const id of doubtful) {
    shard.db.run('DELETE FROM deleted WHERE id = ?', [id]);
    shard.db.run(`DELETE FROM rows WHERE "${table.primaryKey}" = ?`, [id]);
  }
  await readAgain(doubtful);
}

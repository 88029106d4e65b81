import { SkipTableError } from '../../errors.ts';
import { Shard } from '../../sqlite/shard.ts';
import type { SyncServices } from './services.ts';

/** Opens a shard. */
export async function openShard(services: SyncServices, name: string): Promise<Shard> {
  return Shard.open(services.sqlite, await readShard(services, name));
}

/** The bytes of a shard: from memory if this instance wrote it, else from Blob storage. */
export async function readShard(services: SyncServices, name: string): Promise<Uint8Array> {
  const bytes = services.shards.get(name) ?? (await services.work.getBytes(name));
  if (bytes !== undefined) return bytes;
  throw new SkipTableError(`The shard ${name} is missing.`, {
    object: name,
    hint: 'Blobs of the work container were deleted during a run. The next run reads the rows again.',
  });
}

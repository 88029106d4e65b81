import { createHash } from 'node:crypto';
import { RetriableError } from '../../errors.ts';
import { paths } from './paths.ts';
import type { SyncServices } from './services.ts';

/**
 * Stores the ids that the database holds of a filtered table, so that an idle run can ask Dataverse about them without
 * the database. The name contains a digest of the ids, so a list never changes under its name.
 * @returns the name
 */
export async function writeStoredIds(services: SyncServices, ids: string[]): Promise<string> {
  const digest = createHash('sha256').update(ids.join('\n')).digest('hex').slice(0, 32);
  const name = paths.storedIds(digest);
  await services.work.createIfAbsent(name, ids);
  return name;
}

/** @throws RetriableError if the list does not exist */
export async function readStoredIds(services: SyncServices, name: string): Promise<string[]> {
  // Not kept in memory: a list has megabytes, and one read of a table asks for it once or twice.
  const read = await services.work.read<string[]>(name);
  if (read !== undefined) return read.value;
  throw new RetriableError(`The list of ids ${name} is missing.`, { object: name });
}

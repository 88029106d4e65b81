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

/** @throws RetriableError if the list does not exist, and the mirror is of another state */
export async function readStoredIds(services: SyncServices, name: string): Promise<string[]> {
  // Not kept in memory: a list has megabytes, and one read of a table asks for it once or twice.
  const read = await services.work.read<string[]>(name);
  const ids = read?.value ?? (await idsInMirror(services, name));
  if (ids !== undefined) return ids;
  throw new RetriableError(`The list of ids ${name} is missing.`, { object: name });
}

/**
 * The list made anew. Lists that no state names any more are deleted, and an older database that was restored names one of
 * them.
 * @returns undefined if no table of the mirror has this list
 */
async function idsInMirror(services: SyncServices, name: string): Promise<string[] | undefined> {
  const { state } = await services.mirror.loadState();
  const known = Object.values(state.entities).find(({ storedIds }) => storedIds === name);
  if (known === undefined) return undefined;
  // A merge may be under way that asks for it, so this begins no other one.
  const ids = await services.mirror.rowIds(known.table);
  services.telemetry.log('info', `The list of ids ${name} is missing and was made anew from the database.`);
  await services.work.createIfAbsent(name, ids);
  return ids;
}

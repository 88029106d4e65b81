import { createHash } from 'node:crypto';
import { paths } from './paths.ts';
import type { SyncServices } from './services.ts';

/** Ids that Dataverse does not have, each with a digest of the rows that refer to it. */
export type AbsentIds = ReadonlyMap<string, string>;

/** Four megabytes of JSON. Ids beyond this are asked for again in each run that changes a row. */
const maxIds = 65_536;

/**
 * Stores ids that rows refer to and that Dataverse does not have, beside the lists of stored ids and named like them.
 * @param before the name of the list from before
 * @returns the name; undefined for no ids
 */
export async function writeAbsentIds(
  services: SyncServices,
  ids: AbsentIds,
  before: string | undefined,
): Promise<string | undefined> {
  if (ids.size === 0) return undefined;
  const entries = [...ids].sort(([a], [b]) => (a < b ? -1 : 1)).slice(0, maxIds);
  const digest = createHash('sha256').update(JSON.stringify(entries)).digest('hex').slice(0, 32);
  const name = paths.storedIds(digest);
  if (name !== before) await services.work.createIfAbsent(name, entries);
  return name;
}

/** The ids of a list; none if it does not exist any more: they are asked for again then. */
export async function readAbsentIds(services: SyncServices, name: string | undefined): Promise<AbsentIds> {
  const read = name === undefined ? undefined : await services.work.read<[string, string][]>(name);
  return new Map(read?.value);
}

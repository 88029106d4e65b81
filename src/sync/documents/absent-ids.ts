import { createHash } from 'node:crypto';
import { paths } from './paths.ts';
import type { SyncServices } from './services.ts';

/** What is remembered of an id that Dataverse does not have. */
export interface AbsentId {
  /** A digest of the rows that referred to it when Dataverse was asked for it. */
  referrers: string;
  /** The hour (hours since 1970) in which Dataverse was asked for it again because these rows had changed, if it was. */
  hour?: number;
}

export type AbsentIds = ReadonlyMap<string, AbsentId>;

/** In the file: id, digest and hour. */
type Entry = [string, string, number?];

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
  const entries = [...ids]
    .map(([id, { referrers, hour }]): Entry => (hour === undefined ? [id, referrers] : [id, referrers, hour]))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .slice(0, maxIds);
  const digest = createHash('sha256').update(JSON.stringify(entries)).digest('hex').slice(0, 32);
  const name = paths.storedIds(digest);
  if (name !== before) await services.work.createIfAbsent(name, entries);
  return name;
}

/** The ids of a list; none if it does not exist any more: they are asked for again then. */
export async function readAbsentIds(services: SyncServices, name: string | undefined): Promise<AbsentIds> {
  const read = name === undefined ? undefined : await services.work.read<Entry[]>(name);
  return new Map(read?.value.map(([id, referrers, hour]) => [id, { referrers, hour }]));
}

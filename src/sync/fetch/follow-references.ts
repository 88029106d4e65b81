import type { Table } from '../../schema/table.ts';
import type { Shard } from '../../sqlite/shard.ts';
import type { FetchMessage } from '../documents/messages.ts';
import { openShard } from '../documents/open-shard.ts';
import type { SyncServices } from '../documents/services.ts';
import { readStoredIds } from '../documents/stored-ids.ts';
import type { KnownIds } from '../strategies/row-reader.ts';
import type { SliceShard } from './slice-shard.ts';

/**
 * Finds out which rows of the same table the rows of a slice refer to. A slice holds rows of one table, so references to
 * other filtered tables wait for the merge.
 */
export class ReferenceFollower {
  readonly #services: SyncServices;
  readonly #message: FetchMessage;
  readonly #table: Table;
  readonly #slice: SliceShard;
  /** Ids that the mirror has or that this read has asked for; so that loops end, and nothing is read twice. */
  #known: Set<string> | undefined;
  /** The last row of the shard whose references were followed. */
  #lastRow = 0;

  constructor(services: SyncServices, message: FetchMessage, table: Table, slice: SliceShard) {
    this.#services = services;
    this.#message = message;
    this.#table = table;
    this.#slice = slice;
  }

  /** The ids that rows written since the last call refer to, without known ones; at most `limit`. */
  async next(known: KnownIds, limit: number): Promise<string[]> {
    const references = this.#slice.shard.references(referencesToItself(this.#table), this.#lastRow);
    this.#lastRow = references.lastRow;
    if (references.ids.length === 0) return [];
    this.#known ??= await this.#readKnown(known);
    const found = references.ids.filter((id) => !this.#known!.has(id)).slice(0, Math.max(0, limit));
    for (const id of found) this.#known.add(id);
    return found;
  }

  async #readKnown({ requested, pending, stored }: KnownIds): Promise<Set<string>> {
    const { runId, round, entity, slice: current } = this.#message;
    const known = new Set([...requested, ...pending]);
    const { primaryKey } = this.#table;
    const collect = (shard: Shard): void => {
      for (const id of shard.rowIds(primaryKey)) known.add(id);
      for (const id of shard.deletedIds()) known.add(id);
    };
    collect(this.#slice.shard);
    for (let k = 0; k < current; k++) {
      const slice = await this.#services.documents.slice(runId, round, entity, k);
      if (slice?.shard === undefined) continue;
      const earlier = await openShard(this.#services, slice.shard);
      try {
        collect(earlier);
      } finally {
        earlier.close();
      }
    }
    if (stored === undefined) return known;
    for (const id of await readStoredIds(this.#services, stored)) known.add(id);
    return known;
  }
}

/** The columns of a table that refer to its own rows. Without a recorded target every possible one is taken. */
function referencesToItself({ foreignKeys, logicalName }: Table) {
  return foreignKeys
    .filter(({ targets }) => targets.includes(logicalName))
    .map(({ column, typeColumn }) => ({ column, typeColumn, target: logicalName }));
}

import type { Table } from '../../schema/table.ts';
import type { MirrorTransaction } from '../../target/mirror-target.ts';

/** By the logical name of a referring table, then by id. */
type Digests = Map<string, Map<string, bigint>>;

/**
 * Digests of the rows that refer to ids. Each table is looked through once in a merge, and again after its rows have
 * changed: millions of references to one id take seconds.
 */
export class ReferrerDigests {
  readonly #mirror: MirrorTransaction;
  readonly #tables: () => readonly Table[];
  /** By the table of the ids. */
  readonly #known = new Map<string, Digests>();

  constructor(mirror: MirrorTransaction, tables: () => readonly Table[]) {
    this.#mirror = mirror;
    this.#tables = tables;
  }

  /** Forgets what was found in tables whose rows have changed. */
  forget(names: Iterable<string>): void {
    for (const name of names) {
      for (const digests of this.#known.values()) digests.delete(name);
    }
  }

  /**
   * A digest for each of the ids, which changes with any row that refers to it.
   * @param target logical name of their table
   */
  async of(target: string, ids: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const known: Digests = this.#known.get(target) ?? new Map();
    this.#known.set(target, known);
    const referring = this.#tables().filter(({ foreignKeys }) =>
      foreignKeys.some(({ targets }) => targets.includes(target)),
    );
    // All ids in tables that were not looked through yet, and in the others those that are new.
    const isNew = ({ logicalName }: Table): boolean => !known.has(logicalName);
    const lookedThrough = referring.filter((table) => !isNew(table));
    const added = ids.filter((id) =>
      lookedThrough.some(({ logicalName }) => !known.get(logicalName)!.has(id)),
    );
    await this.#find(known, referring.filter(isNew), target, ids);
    await this.#find(known, lookedThrough, target, added);
    const sum = (id: string): bigint =>
      referring.reduce((total, { logicalName }) => total + known.get(logicalName)!.get(id)!, 0n);
    return new Map(ids.map((id) => [id, BigInt.asUintN(64, sum(id)).toString(16).padStart(16, '0')]));
  }

  async #find(
    known: Digests,
    tables: readonly Table[],
    target: string,
    ids: readonly string[],
  ): Promise<void> {
    if (tables.length === 0 || ids.length === 0) return;
    const found = await this.#mirror.referrers(tables, target, ids);
    for (const { logicalName } of tables) {
      const digests = known.get(logicalName) ?? new Map<string, bigint>();
      for (const id of ids) digests.set(id, found.get(logicalName)?.get(id) ?? 0n);
      known.set(logicalName, digests);
    }
  }
}

/** How many scans are told apart: of a table and its indexes, for example. */
const maxScans = 8;
/** Chunks that are loaded at once in a long scan. */
const maxAhead = 64;

/**
 * Finds out which chunks to load together. A chunk after one that was loaded before it belongs to a scan: each time, twice
 * as many are loaded as the time before. Any other is loaded alone.
 */
export class ReadAhead {
  /** By the chunk that would continue the scan: how many were loaded the last time. */
  readonly #scans = new Map<number, number>();

  /**
   * The chunks to load for one that is needed: itself, and absent ones right behind it.
   * @param limit the most chunks that the cache has room for at once
   */
  from(index: number, limit: number, isAbsent: (index: number) => boolean): number[] {
    const before = this.#scans.get(index);
    this.#scans.delete(index);
    const count = before === undefined ? 1 : Math.min(before * 2, maxAhead, limit);
    const chunks = [index];
    while (chunks.length < count && isAbsent(index + chunks.length)) chunks.push(index + chunks.length);
    this.#scans.set(index + chunks.length, chunks.length);
    if (this.#scans.size > maxScans) this.#scans.delete(this.#scans.keys().next().value!);
    return chunks;
  }
}

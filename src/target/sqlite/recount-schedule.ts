import { type DocumentStore, unlessDamaged } from '../../storage/document-store.ts';

/**
 * When figures about large tables of a database were counted last: beside it. Each has its own note, or one that is seldom
 * open would miss the time again and again.
 */
function noteOf(database: string | undefined): string {
  return database === undefined ? 'last-check.json' : `last-check-${database}.json`;
}

/**
 * When a merge counts figures about large tables again. That is noted before it begins: if the time of the invocation does
 * not suffice, the next try goes without.
 */
export class RecountSchedule {
  readonly #documents: DocumentStore;
  readonly #hours: number;

  /** @param hours how often; 0: never */
  constructor(documents: DocumentStore, hours: number) {
    this.#documents = documents;
    this.#hours = hours;
  }

  /**
   * Begins to count, if it is time.
   * @param at now: ISO 8601, UTC
   * @param database its name, unless it is the default one
   * @returns what puts the earlier note back, for a merge that has not counted; undefined if it is not time
   */
  async begin(at: string, database?: string): Promise<(() => Promise<void>) | undefined> {
    if (this.#hours === 0) return undefined;
    const noteName = noteOf(database);
    const found = await unlessDamaged(this.#documents.read<{ at?: unknown } | null>(noteName));
    const last = String(found?.value?.at ?? '');
    const since = Date.parse(at) - Date.parse(last);
    if (since >= 0 && since < this.#hours * 3_600_000) return undefined;
    await this.#documents.put(noteName, { at });
    // From a time that cannot be, or without one, the time begins now.
    if (!(since >= 0)) return undefined;
    return () => this.#documents.put(noteName, { at: last });
  }
}

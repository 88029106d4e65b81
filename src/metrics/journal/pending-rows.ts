import { isBefore, type PlacedEntry, type Position } from './journal-entry.ts';

const readBytes = 1024 * 1024;
/** With more pending rows than this, every row counts as pending: queueing is cheaper than finding out. */
const maxRows = 20_000;

/** The rows with values in the journal that are not written yet: an index that is extended as the journal grows. */
export class PendingRows {
  readonly #read: (from: Position, maxBytes: number) => Promise<{ entries: PlacedEntry[]; next: Position }>;
  /** The newest position of each row. */
  readonly #newest = new Map<string, Position>();
  #end: Position = { generation: 1, offset: 0 };
  #reading: Promise<void> = Promise.resolve();

  /** @param read `Journal.read` */
  constructor(
    read: (from: Position, maxBytes: number) => Promise<{ entries: PlacedEntry[]; next: Position }>,
  ) {
    this.#read = read;
  }

  /**
   * Returns whether a row has a value between two positions.
   * @param from the first position that is not written yet
   * @param to the end of the journal
   */
  async between(from: Position, to: Position): Promise<(id: string) => boolean> {
    const reading = this.#reading.then(() => this.#extend(from, to));
    this.#reading = reading.catch(() => undefined);
    await reading;
    if (isBefore(this.#end, to)) return () => true;
    return (id) => {
      const newest = this.#newest.get(id);
      return newest !== undefined && !isBefore(newest, from);
    };
  }

  async #extend(from: Position, to: Position): Promise<void> {
    if (isBefore(this.#end, from)) {
      this.#newest.clear();
      this.#end = from;
    }
    while (isBefore(this.#end, to)) {
      if (this.#newest.size > maxRows) this.#dropWritten(from);
      if (this.#newest.size > maxRows) return;
      const { entries, next } = await this.#read(this.#end, readBytes);
      for (const entry of entries) this.#newest.set(entry.id, entry.position);
      if (!isBefore(this.#end, next)) return; // Somebody deleted the journal's blobs.
      this.#end = next;
    }
  }

  #dropWritten(from: Position): void {
    for (const [id, newest] of this.#newest) if (isBefore(newest, from)) this.#newest.delete(id);
  }
}

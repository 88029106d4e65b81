import { isBefore, type PlacedEntry, type Position } from './journal-entry.ts';

/** Reads entries of the journal; `Journal.read`. */
type Read = (from: Position, maxBytes: number) => Promise<{ entries: PlacedEntry[]; next: Position }>;

const readBytes = 1024 * 1024;
/** Beyond so many, every row counts as waiting: looking closer would cost more than queueing. */
const maxWaiting = 20_000;

/**
 * Which rows have values in the journal that are not written yet. An index of the journal's tail, read on as
 * the journal grows.
 */
export class WaitingRows {
  readonly #read: Read;
  /** Each row's last value that was seen. */
  readonly #last = new Map<string, Position>();
  #readTo: Position = { generation: 1, offset: 0 };
  #reading: Promise<void> = Promise.resolve();

  constructor(read: Read) {
    this.#read = read;
  }

  /**
   * @param from how far the journal is written
   * @param to its end, when the caller looked
   */
  async between(from: Position, to: Position): Promise<(id: string) => boolean> {
    const reading = this.#reading.then(() => this.#readOn(from, to));
    this.#reading = reading.catch(() => undefined);
    await reading;
    if (isBefore(this.#readTo, to)) return () => true;
    return (id) => {
      const last = this.#last.get(id);
      return last !== undefined && !isBefore(last, from);
    };
  }

  async #readOn(from: Position, to: Position): Promise<void> {
    if (isBefore(this.#readTo, from)) {
      this.#last.clear();
      this.#readTo = from;
    }
    while (isBefore(this.#readTo, to)) {
      if (this.#last.size > maxWaiting) this.#forget(from);
      if (this.#last.size > maxWaiting) return;
      const { entries, next } = await this.#read(this.#readTo, readBytes);
      for (const entry of entries) this.#last.set(entry.id, entry.position);
      if (!isBefore(this.#readTo, next)) return; // The journal was emptied under our feet.
      this.#readTo = next;
    }
  }

  #forget(before: Position): void {
    for (const [id, last] of this.#last) if (isBefore(last, before)) this.#last.delete(id);
  }
}

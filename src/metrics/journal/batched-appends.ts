import type { Position } from './journal-entry.ts';

interface Batch {
  parts: Buffer[];
  bytes: number;
  /** Where the batch begins in the journal, once it is written. */
  start: Promise<Position>;
}

/** Well below the limit of one append, 100 MiB (learn.microsoft.com: Append Block), so that each is quick. */
const maxBytes = 3 * 1024 * 1024;

/** Joins appends that arrive while another one runs into one request, so fifty cost little more than one. */
export class BatchedAppends {
  readonly #append: (bytes: Buffer) => Promise<Position>;
  /** The batch that still accepts lines. */
  #open: Batch | undefined;
  #last: Promise<unknown> = Promise.resolve();

  /** @param append writes bytes durably and returns where they begin */
  constructor(append: (bytes: Buffer) => Promise<Position>) {
    this.#append = append;
  }

  /** Returns the position of each line. */
  async add(lines: readonly Buffer[]): Promise<Position[]> {
    const part = Buffer.concat(lines);
    if (this.#open === undefined || this.#open.bytes + part.length > maxBytes) this.#open = this.#begin();
    const batch = this.#open;
    let before = batch.bytes;
    batch.parts.push(part);
    batch.bytes += part.length;
    const { generation, offset } = await batch.start;
    return lines.map((line) => {
      const position = { generation, offset: offset + before };
      before += line.length;
      return position;
    });
  }

  /** A batch that is written after the one before it. */
  #begin(): Batch {
    const write = () => {
      if (this.#open === batch) this.#open = undefined;
      return this.#append(Buffer.concat(batch.parts));
    };
    const batch: Batch = { parts: [], bytes: 0, start: this.#last.then(write) };
    this.#last = batch.start.catch(() => undefined);
    return batch;
  }
}

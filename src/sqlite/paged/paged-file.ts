/**
 * A database file that SQLite works in, held in chunks. sql.js keeps a file in whatever `slice` of its argument returns,
 * and needs only the members `length`, `subarray` and `set` of it, so the chunks can be loaded when SQLite asks for them,
 * and leave memory again. The self-test in sqlite.ts checks this for the installed version of sql.js.
 */

/** Bytes of a chunk: the unit in which a file is loaded and in which changes are noted. A multiple of every page size. */
export const chunkSize = 65_536;

/** How large a file may become: sql.js would replace the object beyond this. 2^53 is far away, and disks end before. */
const capacity = 2 ** 44;

const largestPage = 65_536;

/** Where the chunks of a file are. */
export interface Chunks {
  /** The chunk, in memory. The caller uses it at once: the next call may move it out of memory. */
  get(index: number): Uint8Array;
  /** The same, to be written to. */
  change(index: number): Uint8Array;
}

/** What sql.js works in. */
interface FileArray {
  readonly length: number;
  subarray(from: number, to: number): Uint8Array;
  set(bytes: Uint8Array, at: number): void;
}

export class PagedFile {
  readonly #chunks: Chunks;
  #length: number;

  /** @param length of the file at first, in bytes */
  constructor(chunks: Chunks, length: number) {
    this.#chunks = chunks;
    this.#length = length;
  }

  /** The size of the file in bytes. */
  get length(): number {
    return this.#length;
  }

  /** The argument for sql.js: an array of the length of the file. */
  asArgument(): Uint8Array {
    const file: FileArray = {
      length: capacity,
      subarray: (from, to) => this.#read(from, to),
      set: (bytes, at) => this.#write(bytes, at),
    };
    const argument = { length: this.#length, subarray: file.subarray, slice: () => file };
    return argument as unknown as Uint8Array;
  }

  #read(from: number, to: number): Uint8Array {
    const first = Math.floor(from / chunkSize);
    const start = from - first * chunkSize;
    const length = to - from;
    if (start + length <= chunkSize) return this.#chunks.get(first).subarray(start, start + length);
    // SQLite reads page by page. sql.js asks for more where SQLite makes the file shorter, as after a rollback: sql.js
    // works on in an array of its own then, which nobody stores. The database is to be closed.
    if (length > largestPage) return new Uint8Array();
    const bytes = new Uint8Array(length);
    for (let at = from; at < to; ) {
      const index = Math.floor(at / chunkSize);
      const end = Math.min(to, (index + 1) * chunkSize);
      bytes.set(this.#chunks.get(index).subarray(at - index * chunkSize, end - index * chunkSize), at - from);
      at = end;
    }
    return bytes;
  }

  #write(bytes: Uint8Array, at: number): void {
    let done = 0;
    while (done < bytes.length) {
      const index = Math.floor((at + done) / chunkSize);
      const start = at + done - index * chunkSize;
      const part = bytes.subarray(done, done + chunkSize - start);
      this.#chunks.change(index).set(part, start);
      done += part.length;
    }
    this.#length = Math.max(this.#length, at + bytes.length);
  }
}

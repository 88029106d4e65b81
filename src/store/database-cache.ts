/** A database file and the ETag of the blob state that it is. */
export interface DatabaseCopy {
  bytes: Uint8Array;
  etag: string;
}

/**
 * The copy of the database that a warm instance keeps from one run to the next, so that it need not download
 * what has not changed. Whoever takes the copy owns it: SQLite works in these bytes, so they stop being the
 * state of that ETag with the first change. Put it back only after a commit, with the new ETag, or unchanged.
 */
export class DatabaseCache {
  readonly #maxBytes: number;
  #copy: DatabaseCopy | undefined;

  /** @param maxBytes a greater file is not kept; 512 MB unless told */
  constructor(maxBytes = 512_000_000) {
    this.#maxBytes = maxBytes;
  }

  /** Gives the copy away and forgets it. */
  take(): DatabaseCopy | undefined {
    const copy = this.#copy;
    this.#copy = undefined;
    return copy;
  }

  put(copy: DatabaseCopy): void {
    this.#copy = copy.bytes.length <= this.#maxBytes ? copy : undefined;
  }
}

/**
 * Shards that this instance wrote, by blob name, so that a merge on the same instance does not download them. A shard
 * never changes under its name. If the cache is full, the least recently used shards go first.
 */
export class ShardCache {
  readonly #maxBytes: number;
  /** In the order of use, the most recent last. */
  readonly #shards = new Map<string, Uint8Array>();
  #bytes = 0;

  /**
   * @param maxBytes the size of all shards together
   * @default 256_000_000
   */
  constructor(maxBytes = 256_000_000) {
    this.#maxBytes = maxBytes;
  }

  put(name: string, bytes: Uint8Array): void {
    this.#delete(name);
    if (bytes.length > this.#maxBytes) return;
    // A new shard lies in a buffer that it could grow in, many times its size. The cache would hold that, too.
    const isTight = bytes.buffer.byteLength <= 1.25 * bytes.length;
    this.#shards.set(name, isTight ? bytes : new Uint8Array(bytes));
    this.#bytes += bytes.length;
    for (const oldest of this.#shards.keys()) {
      if (this.#bytes <= this.#maxBytes) break;
      this.#delete(oldest);
    }
  }

  /** The bytes of a shard, not a copy: `Shard.open` works in them. */
  get(name: string): Uint8Array | undefined {
    const bytes = this.#shards.get(name);
    if (bytes !== undefined) {
      this.#shards.delete(name);
      this.#shards.set(name, bytes);
    }
    return bytes;
  }

  /** Forgets the shards whose names begin with `prefix`: those of a run that is over. */
  forget(prefix: string): void {
    for (const name of [...this.#shards.keys()]) {
      if (name.startsWith(prefix)) this.#delete(name);
    }
  }

  #delete(name: string): void {
    this.#bytes -= this.#shards.get(name)?.length ?? 0;
    this.#shards.delete(name);
  }
}

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
    this.#shards.set(name, bytes);
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

  #delete(name: string): void {
    this.#bytes -= this.#shards.get(name)?.length ?? 0;
    this.#shards.delete(name);
  }
}

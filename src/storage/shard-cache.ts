/**
 * Shards that this instance wrote, by blob name, so that a merge on the same instance need not download them.
 * Shards never change under their name. Beyond `maxBytes` those used longest ago go.
 */
export class ShardCache {
  readonly #maxBytes: number;
  /** In the order of use, the latest last. */
  readonly #shards = new Map<string, Uint8Array>();
  #bytes = 0;

  /** @param maxBytes of all shards together; 256 MB unless told */
  constructor(maxBytes = 256_000_000) {
    this.#maxBytes = maxBytes;
  }

  put(name: string, bytes: Uint8Array): void {
    this.delete(name);
    if (bytes.length > this.#maxBytes) return;
    this.#shards.set(name, bytes);
    this.#bytes += bytes.length;
    for (const oldest of this.#shards.keys()) {
      if (this.#bytes <= this.#maxBytes) break;
      this.delete(oldest);
    }
  }

  /** The shard's bytes. They are shared: whoever gives them to `Shard.open` and changes it takes a copy. */
  get(name: string): Uint8Array | undefined {
    const bytes = this.#shards.get(name);
    if (bytes !== undefined) {
      this.#shards.delete(name);
      this.#shards.set(name, bytes);
    }
    return bytes;
  }

  delete(name: string): void {
    this.#bytes -= this.#shards.get(name)?.length ?? 0;
    this.#shards.delete(name);
  }

  /** Bytes held. */
  get byteLength(): number {
    return this.#bytes;
  }
}

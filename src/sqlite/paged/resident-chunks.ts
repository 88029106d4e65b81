import { type Chunks, chunkSize } from './paged-file.ts';

/** A file of which every chunk is in memory. */
export class ResidentChunks implements Chunks {
  readonly #chunks: Uint8Array[];
  readonly #changed = new Set<number>();

  /** @param bytes the file, with zeros up to the end of its last chunk. It is used in place. */
  constructor(bytes: Uint8Array) {
    const count = Math.ceil(bytes.length / chunkSize);
    this.#chunks = Array.from({ length: count }, (_, n) =>
      bytes.subarray(n * chunkSize, (n + 1) * chunkSize),
    );
  }

  get(index: number): Uint8Array {
    this.#chunks[index] ??= new Uint8Array(chunkSize);
    return this.#chunks[index];
  }

  change(index: number): Uint8Array {
    this.#changed.add(index);
    return this.get(index);
  }

  isChanged(index: number): boolean {
    return this.#changed.has(index);
  }

  /** The present content is what is stored. */
  stored(): void {
    this.#changed.clear();
  }
}

/** A buffer for a file of `length` bytes, with room up to the end of its last chunk. */
export function allocateChunks(length: number): Uint8Array {
  return new Uint8Array(Math.ceil(length / chunkSize) * chunkSize);
}

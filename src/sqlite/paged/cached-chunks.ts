import { SyncError } from '../../errors.ts';
import { type Chunks, chunkSize } from './paged-file.ts';
import { ReadAhead } from './read-ahead.ts';
import type { SpillFile } from './spill-file.ts';

/** A chunk in memory. */
interface Cached {
  index: number;
  slot: number;
  bytes: Uint8Array;
  /** Used since the last search for a chunk to remove. */
  isRecent: boolean;
  /** Neither the stored file nor the spill file has these bytes. */
  isDirty: boolean;
}

/** Chunks that are loaded with one call at most. */
const maxTogether = 64;

/** Brings chunks of the stored file into slots of the memory, before it returns. */
export type LoadChunks = (chunks: readonly { index: number; slot: number }[]) => void;

export interface CachedChunksOptions {
  /** The memory of the cache: one slot for each chunk. */
  memory: Uint8Array;
  /** The size of the stored file, in bytes. */
  storedLength: number;
  load: LoadChunks;
  /** Takes changed chunks that memory has no room for. */
  spill: SpillFile;
}

/**
 * A file of which some chunks are in memory. Those used least recently leave it: unchanged ones are loaded again when they
 * are needed, changed ones wait in the spill file until they are stored.
 */
export class CachedChunks implements Chunks {
  readonly #options: CachedChunksOptions;
  readonly #slots: number;
  readonly #cached = new Map<number, Cached>();
  readonly #changed = new Set<number>();
  readonly #free: number[] = [];
  readonly #readAhead = new ReadAhead();
  #used = 0;
  #storedChunks: number;

  constructor(options: CachedChunksOptions) {
    this.#options = options;
    this.#slots = Math.floor(options.memory.length / chunkSize);
    this.#storedChunks = Math.ceil(options.storedLength / chunkSize);
  }

  get(index: number): Uint8Array {
    const cached = this.#cached.get(index) ?? this.#bring(index);
    cached.isRecent = true;
    return cached.bytes;
  }

  change(index: number): Uint8Array {
    const cached = this.#cached.get(index) ?? this.#bring(index);
    cached.isRecent = true;
    cached.isDirty = true;
    this.#changed.add(index);
    return cached.bytes;
  }

  /** Loads absent chunks of the stored file together, as many as may leave room for as many others. */
  bring(indexes: Iterable<number>): void {
    const isAbsent = (index: number) =>
      index < this.#storedChunks && !this.#cached.has(index) && !this.#options.spill.has(index);
    const absent = [...new Set(indexes)].filter(isAbsent).slice(0, Math.floor(this.#slots / 2));
    for (let n = 0; n < absent.length; n += maxTogether) this.#load(absent.slice(n, n + maxTogether));
  }

  /** The chunks that differ from the stored file, in order. */
  changed(): number[] {
    return [...this.#changed].sort((a, b) => a - b);
  }

  /** Where the bytes of chunks are that not only the stored file has. A chunk in the cache may be in the spill file, too. */
  places(): { cached: [index: number, slot: number][]; spilled: [index: number, at: number][] } {
    const cached = [...this.#cached.values()].map(({ index, slot }): [number, number] => [index, slot]);
    return { cached, spilled: this.#options.spill.places() };
  }

  /** The present content is what is stored, `length` bytes. */
  stored(length: number): void {
    for (const cached of this.#cached.values()) cached.isDirty = false;
    this.#changed.clear();
    this.#options.spill.clear();
    this.#storedChunks = Math.ceil(length / chunkSize);
  }

  #bring(index: number): Cached {
    const { spill } = this.#options;
    if (spill.has(index)) {
      const cached = this.#take(index);
      spill.read(index, cached.bytes);
      return cached;
    }
    if (index >= this.#storedChunks) {
      const cached = this.#take(index);
      cached.bytes.fill(0);
      return cached;
    }
    const limit = Math.max(1, Math.floor(this.#slots / 8));
    const isAbsent = (chunk: number) =>
      chunk < this.#storedChunks && !this.#cached.has(chunk) && !spill.has(chunk);
    this.#load(this.#readAhead.from(index, limit, isAbsent));
    return this.#cached.get(index)!;
  }

  #load(indexes: readonly number[]): void {
    const wanted: Cached[] = [];
    try {
      for (const index of indexes) wanted.push(this.#take(index));
      this.#options.load(wanted.map(({ index, slot }) => ({ index, slot })));
    } catch (error) {
      for (const { index: chunk, slot } of wanted) {
        this.#cached.delete(chunk);
        this.#free.push(slot);
      }
      throw error;
    }
  }

  /** A place in memory for a chunk. Its bytes are still those of another one. */
  #take(index: number): Cached {
    const slot = this.#free.pop() ?? (this.#used < this.#slots ? this.#used++ : this.#evict());
    const bytes = this.#options.memory.subarray(slot * chunkSize, (slot + 1) * chunkSize);
    const cached = { index, slot, bytes, isRecent: true, isDirty: false };
    this.#cached.set(index, cached);
    return cached;
  }

  /** Frees the slot of a chunk that was not used for a while. */
  #evict(): number {
    for (;;) {
      const [index, cached] = this.#cached.entries().next().value ?? [];
      if (index === undefined || cached === undefined) throw new SyncError('The cache has no memory');
      if (cached.isRecent) {
        cached.isRecent = false;
        this.#cached.delete(index);
        this.#cached.set(index, cached);
        continue;
      }
      // If it cannot be written, it stays.
      if (cached.isDirty) this.#options.spill.write(index, cached.bytes);
      this.#cached.delete(index);
      return cached.slot;
    }
  }
}

import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigurationError } from '../../errors.ts';
import { chunkSize } from './paged-file.ts';

/**
 * Changed chunks that memory has no room for, in a temporary file. The file has no name once it is open, so nothing of it
 * remains when the process ends, however it ends.
 */
export class SpillFile {
  readonly #folder: string;
  readonly #places = new Map<number, number>();
  #file: number | undefined;

  /** @param folder @default the folder for temporary files */
  constructor(folder = tmpdir()) {
    this.#folder = folder;
  }

  has(index: number): boolean {
    return this.#places.has(index);
  }

  /** The chunks in the file, and where each begins, in bytes. */
  places(): [index: number, at: number][] {
    return [...this.#places];
  }

  /** The open file; undefined as long as nothing was written. */
  get descriptor(): number | undefined {
    return this.#file;
  }

  /** @throws ConfigurationError if the disk is full */
  write(index: number, bytes: Uint8Array): void {
    const at = this.#places.get(index) ?? this.#places.size * chunkSize;
    try {
      this.#file ??= this.#open();
      for (let done = 0; done < bytes.length; ) {
        done += writeSync(this.#file, bytes, done, bytes.length - done, at + done);
      }
    } catch (cause) {
      const size = `${Math.round((at + chunkSize) / 1e6)} MB`;
      throw new ConfigurationError(`Changes of ${size} do not fit into memory and temporary files.`, {
        operation: 'write a temporary file',
        object: this.#folder,
        hint: 'Raise SYNC_CACHE_MB where memory allows it, choose fewer columns, or put tables into another file with "database" in entities.json.',
        cause,
      });
    }
    this.#places.set(index, at);
  }

  read(index: number, into: Uint8Array): void {
    const at = this.#places.get(index)!;
    for (let done = 0; done < into.length; ) {
      const read = readSync(this.#file!, into, done, into.length - done, at + done);
      if (read === 0) throw new Error('The temporary file is shorter than what was written to it');
      done += read;
    }
  }

  /** Forgets everything, and gives the disk its room back. */
  clear(): void {
    this.#places.clear();
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  #open(): number {
    const folder = mkdtempSync(join(this.#folder, 'dataverse-sqlite-sync-'));
    try {
      return openSync(join(folder, 'changes'), 'wx+', 0o600);
    } finally {
      // Windows keeps a file that is open: there the folder stays until its temporary files are cleared.
      try {
        rmSync(folder, { recursive: true, force: true });
      } catch {}
    }
  }
}

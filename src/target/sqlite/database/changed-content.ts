import { chunkSize } from '../../../sqlite/paged/paged-file.ts';
import type { FileContent } from '../../../storage/database/database-file.ts';

/** A file in chunks as storage takes it. */
export function contentOf(
  length: number,
  isChanged: (chunk: number) => boolean,
  chunk: (index: number) => Uint8Array,
): FileContent {
  return {
    length,
    isChanged: (from, to) => someChunk(from, to, isChanged),
    read(from, to) {
      const bytes = new Uint8Array(to - from);
      for (let at = from; at < to; ) {
        const index = Math.floor(at / chunkSize);
        const end = Math.min(to, (index + 1) * chunkSize);
        bytes.set(chunk(index).subarray(at - index * chunkSize, end - index * chunkSize), at - from);
        at = end;
      }
      return bytes;
    },
  };
}

/** Whether the condition holds for a chunk that has bytes of this stretch. */
export function someChunk(from: number, to: number, holds: (chunk: number) => boolean): boolean {
  for (let index = Math.floor(from / chunkSize); index * chunkSize < to; index += 1) {
    if (holds(index)) return true;
  }
  return false;
}

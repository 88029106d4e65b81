import { ConflictError } from '../../../errors.ts';
import type { SummarizedFile } from '../../../sqlite/check/summarized-file.ts';
import type { DatabaseFile, FileBlock, FilePart } from '../../../storage/database/database-file.ts';

/** Ends where runs commit faster than their blocks are read: the caller decides how long that goes on. */
const maxChanges = 10;
/** Parts of the file that storage is asked for at the same time, in bytes. */
const rangeBytes = 2 * 1024 * 1024;

export interface PageScan {
  /** The state of which all blocks are summarized; undefined if some are not. */
  complete?: { etag: string; length: number };
  /** Bytes of the present state, and how many of them are summarized. */
  bytes: { done: number; total: number };
  /** How often another state was found to be present. */
  changes: number;
}

/**
 * Summarizes the pages of the present state of a file. Reads the file from its beginning to its end. Where another state
 * becomes the present one, only its new blocks are read.
 * @param batchBytes how much is read together, and is in memory. One block in any case
 * @param summarized keeps what was read, also if this ends before all of it was
 * @returns undefined if there is no file
 * @throws RetriableError if storage does not answer
 */
export async function scanPages(
  file: DatabaseFile,
  summarized: SummarizedFile,
  batchBytes: number,
  isTimeOver: () => boolean,
): Promise<PageScan | undefined> {
  // One buffer for all batches: the memory of each would be freed much later.
  let buffer = new Uint8Array();
  for (let changes = 0; ; changes += 1) {
    const present = await file.blocks();
    if (present === undefined) return undefined;
    const { etag, length } = present;
    const state = file.state(etag, length);
    let missing = summarized.missing(present.blocks);
    let left = sizeOf(missing.map(({ block }) => block));
    const progress = () => ({ bytes: { done: length - left, total: length }, changes });
    try {
      for (let at = 0; at < missing.length; ) {
        const batch = nextBatch(missing, at, batchBytes);
        const { from } = batch[0]!.block;
        const size = batch.at(-1)!.block.to - from;
        if (buffer.length < size) buffer = new Uint8Array(size);
        const bytes = buffer.subarray(0, size);
        await readParts(state.read, from, bytes);
        for (const { index, block } of batch) {
          const part = bytes.subarray(block.from - from, block.to - from);
          // SQLite will say what the file is.
          if (!summarized.add(index, block, part)) return { ...progress(), complete: { etag, length } };
        }
        at += batch.length;
        left -= sizeOf(batch.map(({ block }) => block));
        if (from === 0) {
          // A first block with pages of another size makes all others missing.
          missing = summarized.missing(present.blocks);
          left = sizeOf(missing.map(({ block }) => block));
          at = 0;
        }
        if (isTimeOver() && left > 0) return progress();
      }
      return { ...progress(), complete: { etag, length } };
    } catch (error) {
      // A run has committed. What was read remains, as far as its blocks are the same.
      if (!(error instanceof ConflictError)) throw error;
      if (isTimeOver() || changes >= maxChanges) return progress();
    }
  }
}

/** Missing blocks that lie side by side. @param at where they begin in the list */
function nextBatch(
  missing: readonly { index: number; block: FileBlock }[],
  at: number,
  batchBytes: number,
): { index: number; block: FileBlock }[] {
  const { from } = missing[at]!.block;
  let end = at + 1;
  while (
    end < missing.length &&
    missing[end]!.block.from === missing[end - 1]!.block.to &&
    missing[end]!.block.to - from <= batchBytes
  ) {
    end += 1;
  }
  return missing.slice(at, end);
}

async function readParts(
  read: (parts: readonly FilePart[]) => Promise<void>,
  from: number,
  bytes: Uint8Array,
): Promise<void> {
  const parts = Array.from({ length: Math.ceil(bytes.length / rangeBytes) }, (_, n) => ({
    at: from + n * rangeBytes,
    into: bytes.subarray(n * rangeBytes, (n + 1) * rangeBytes),
  }));
  await read(parts);
}

function sizeOf(blocks: readonly FileBlock[]): number {
  return blocks.reduce((sum, { from, to }) => sum + to - from, 0);
}

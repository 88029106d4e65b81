import { ConflictError } from '../../src/errors.ts';
import type { Commit, DatabaseFile } from '../../src/storage/database/database-file.ts';
import { wholeContent } from '../../src/storage/database/database-file.ts';

/** Reads one state of a file as a whole. */
export async function loadFile(
  file: DatabaseFile,
  ifNot?: string,
): Promise<{ bytes: Buffer; etag: string } | 'absent' | 'unchanged'> {
  for (let tries = 1; ; tries += 1) {
    const stored = await file.open(ifNot);
    if (typeof stored === 'string') return stored;
    const bytes = Buffer.alloc(stored.length);
    try {
      if (bytes.length > 0) await stored.read([{ at: 0, into: bytes }]);
      return { bytes, etag: stored.etag };
    } catch (error) {
      // A writer replaced the state between two parts of it.
      if (!(error instanceof ConflictError) || tries === 3) throw error;
    }
  }
}

/** Commits bytes of which each may have changed. */
export function commitFile(
  file: DatabaseFile,
  bytes: Uint8Array,
  expected: { etag: string | 'absent' },
): Promise<Commit> {
  return file.commit(wholeContent(bytes), expected);
}

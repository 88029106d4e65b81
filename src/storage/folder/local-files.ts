import { randomUUID } from 'node:crypto';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { FileStore } from '../file-blobs.ts';
import { withFileErrors } from './file-errors.ts';

/** The contents of files beside the database, in a folder. */
export class LocalFiles implements FileStore {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async write(name: string, chunks: AsyncIterable<Uint8Array>): Promise<number> {
    const path = join(this.#folder, name);
    const part = `${path}.${randomUUID().slice(0, 8)}.writing`;
    const handle = await withFileErrors('write', path, async () => {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      return open(part, 'wx', 0o600);
    });
    let bytes = 0;
    try {
      try {
        for await (const chunk of chunks) {
          await withFileErrors('write', path, () => handle.writeFile(chunk));
          bytes += chunk.byteLength;
        }
      } finally {
        await handle.close();
      }
      await withFileErrors('write', path, () => rename(part, path));
      return bytes;
    } catch (error) {
      await rm(part, { force: true }).catch(() => undefined);
      throw error;
    }
  }

  async remove(name: string): Promise<void> {
    const path = join(this.#folder, name);
    await withFileErrors('delete', path, () => rm(path, { force: true }));
  }
}

import { randomUUID } from 'node:crypto';
import {
  appendFile,
  mkdir,
  open,
  readdir,
  rename,
  rm,
  rmdir,
  stat,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { ConflictError } from '../../errors.ts';
import { DamagedDocumentError, type DocumentStore } from '../document-store.ts';
import { codeOf, withFileErrors } from './file-errors.ts';
import { etagOf } from './file-etag.ts';

/** Files that are being written have this ending. No document has it. */
const unfinished = '.writing';

/**
 * Documents as files of a folder that one process uses: see `lockFolder`. A file appears and changes as a whole, also if the
 * process is killed. After a loss of power the newest files can be damaged, as `DamagedDocumentError` says.
 */
export class FolderStore implements DocumentStore {
  readonly #folder: string;
  /** The last change of a document that is under way, by name: changes of one document come one after the other. */
  readonly #changing = new Map<string, Promise<unknown>>();

  /** @param folder is created with the first document */
  constructor(folder: string) {
    this.#folder = folder;
  }

  create(name: string, value: unknown): Promise<string | undefined> {
    return this.#change('write', name, async (path) => {
      if ((await currentEtag(path)) !== undefined) return undefined;
      return write(path, JSON.stringify(value));
    });
  }

  async createIfAbsent(name: string, value: unknown): Promise<boolean> {
    return (await this.create(name, value)) !== undefined;
  }

  async put(name: string, value: unknown): Promise<void> {
    await this.#change('write', name, (path) => write(path, JSON.stringify(value)));
  }

  async read<T>(name: string): Promise<{ value: T; etag: string; length: number } | undefined> {
    const path = this.#path(name);
    const found = await withFileErrors('read', path, () => contentOf(path));
    if (found === undefined) return undefined;
    const { bytes, etag } = found;
    try {
      return { value: JSON.parse(bytes.toString()) as T, etag, length: bytes.length };
    } catch {
      // The parser's message quotes the content.
      throw new DamagedDocumentError(name, 'is not JSON', etag);
    }
  }

  exists(name: string): Promise<boolean> {
    return withFileErrors(
      'look up',
      this.#path(name),
      async () => (await currentEtag(this.#path(name))) !== undefined,
    );
  }

  replaceIfUnchanged(name: string, value: unknown, etag: string): Promise<string> {
    return this.#change('write', name, async (path) => {
      if ((await currentEtag(path)) !== etag) throw conflict('replace', name);
      return write(path, JSON.stringify(value));
    });
  }

  deleteIfUnchanged(name: string, etag: string): Promise<boolean> {
    return this.#change('delete', name, async (path) => {
      const current = await currentEtag(path);
      if (current === undefined) return false;
      if (current !== etag) throw conflict('delete', name);
      await unlink(path);
      return true;
    });
  }

  async putBytes(name: string, bytes: Uint8Array): Promise<void> {
    await this.#change('write', name, (path) => write(path, bytes));
  }

  async putText(name: string, text: string): Promise<void> {
    await this.#change('write', name, (path) => write(path, text));
  }

  async getBytes(name: string): Promise<Buffer | undefined> {
    const path = this.#path(name);
    return (await withFileErrors('read', path, () => contentOf(path)))?.bytes;
  }

  append(name: string, text: string): Promise<void> {
    return this.#change('write', name, async (path) => {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      // A process that died while it wrote left a part of a line, which would take this one with it.
      const end = await this.readEnd(name, 1);
      const isTorn = end !== undefined && end.length > 0 && end[0] !== 0x0a;
      await appendFile(path, isTorn ? `\n${text}` : text, { mode: 0o600 });
    });
  }

  async readEnd(name: string, bytes: number): Promise<Buffer | undefined> {
    const path = this.#path(name);
    return withFileErrors('read', path, async () => {
      const file = await open(path).catch((error: unknown) => {
        if (codeOf(error) === 'ENOENT') return undefined;
        throw error;
      });
      if (file === undefined) return undefined;
      try {
        const { size } = await file.stat();
        const length = Math.min(bytes, size);
        const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, size - length);
        return buffer.subarray(0, bytesRead);
      } finally {
        await file.close();
      }
    });
  }

  async *list(prefix: string): AsyncGenerator<{ name: string; lastModified: Date }> {
    for (const name of await this.#names(prefix)) {
      const found = await stat(this.#path(name)).catch(() => undefined);
      // It was deleted meanwhile.
      if (found !== undefined) yield { name, lastModified: found.mtime };
    }
  }

  async *folders(prefix: string): AsyncGenerator<string> {
    const inside = (await this.#names(prefix)).map((name) => name.slice(prefix.length).split('/'));
    yield* new Set(inside.flatMap(([folder, ...rest]) => (rest.length > 0 ? [folder!] : [])));
  }

  async deletePrefix(prefix: string): Promise<number> {
    // What a killed process has left of a write goes, too.
    const names = await this.#names(prefix, { withUnfinished: true });
    for (const name of names) await this.#change('delete', name, (path) => rm(path, { force: true }));
    for (const folder of new Set(names.map((name) => dirname(name)))) await this.#removeEmpty(folder);
    return names.length;
  }

  /** The names that begin with `prefix`, in order. */
  async #names(prefix: string, { withUnfinished = false } = {}): Promise<string[]> {
    const above = this.#path(prefix.slice(0, prefix.lastIndexOf('/') + 1));
    const entries = await readdir(above, { recursive: true, withFileTypes: true }).catch((error: unknown) => {
      if (codeOf(error) === 'ENOENT') return [];
      throw error;
    });
    return entries
      .filter((entry) => entry.isFile() && (withUnfinished || !entry.name.endsWith(unfinished)))
      .map(({ parentPath, name }) => relative(this.#folder, join(parentPath, name)).replaceAll(sep, '/'))
      .filter((name) => name.startsWith(prefix))
      .sort();
  }

  /** Removes a folder, and those around it, as far as they are empty. */
  async #removeEmpty(folder: string): Promise<void> {
    for (let inner = folder; inner !== '.' && inner !== ''; inner = dirname(inner)) {
      try {
        await rmdir(this.#path(inner));
      } catch {
        return;
      }
    }
  }

  #path(name: string): string {
    return join(this.#folder, name);
  }

  /** Runs `work` when no other change of this document is under way. */
  #change<T>(operation: string, name: string, work: (path: string) => Promise<T>): Promise<T> {
    const path = this.#path(name);
    const before = this.#changing.get(name) ?? Promise.resolve();
    const change = before.then(() => withFileErrors(operation, path, () => work(path)));
    const settled = change.then(
      () => undefined,
      () => undefined,
    );
    this.#changing.set(name, settled);
    void settled.then(() => {
      if (this.#changing.get(name) === settled) this.#changing.delete(name);
    });
    return change;
  }
}

/** @returns the ETag of the file */
async function write(path: string, content: string | Uint8Array): Promise<string> {
  const part = `${path}.${randomUUID().slice(0, 8)}${unfinished}`;
  const create = () => writeFile(part, content, { flag: 'wx', mode: 0o600 });
  try {
    await create().catch(async (error: unknown) => {
      if (codeOf(error) !== 'ENOENT') throw error;
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      await create();
    });
    await rename(part, path);
  } catch (error) {
    await rm(part, { force: true }).catch(() => undefined);
    throw error;
  }
  return etagOf(await stat(path, { bigint: true }));
}

async function contentOf(path: string): Promise<{ bytes: Buffer; etag: string } | undefined> {
  try {
    await using file = await open(path, 'r');
    return { etag: etagOf(await file.stat({ bigint: true })), bytes: await file.readFile() };
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function currentEtag(path: string): Promise<string | undefined> {
  try {
    return etagOf(await stat(path, { bigint: true }));
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function conflict(operation: string, name: string): ConflictError {
  return new ConflictError(`Cannot ${operation} ${name}: it changed`, { operation, object: name });
}

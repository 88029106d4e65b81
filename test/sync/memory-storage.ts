import { hash } from 'node:crypto';
import { ConflictError, SyncError } from '../../src/errors.ts';
import type {
  Commit,
  DatabaseFile,
  FileBlocks,
  FileContent,
  FilePart,
  StoredFile,
} from '../../src/storage/database/database-file.ts';
import { DamagedDocumentError, type DocumentStore } from '../../src/storage/document-store.ts';
import type { FileStore } from '../../src/storage/file-blobs.ts';

interface Stored {
  bytes: Buffer;
  etag: string;
  lastModified: Date;
}

/**
 * Storage in memory. Thousands of random syncs run on it in the time that the emulator takes for a hundred; other tests
 * run on the emulator. storage-contract.test.ts holds both to the same contract.
 */
export function memoryStorage(): {
  work: DocumentStore;
  published: DocumentStore;
  databaseFile: DatabaseFile;
  namedFile: (name: string) => DatabaseFile;
  files: FileStore;
} {
  const container = new Map<string, Stored>();
  return {
    work: new MemoryStore(new Map()),
    published: new MemoryStore(container),
    databaseFile: new MemoryFile(container, 'dataverse.db'),
    namedFile: (name) => new MemoryFile(container, `${name}.db`),
    files: noFiles,
  };
}

/** Fails at once. Without an emulator, the client of the storage account would try for six seconds. */
const noFiles: FileStore = {
  write: async (name) => {
    throw new SyncError(`Storage in memory takes no file: ${name}`);
  },
  remove: async () => undefined,
};

let writes = 0;

function store(blobs: Map<string, Stored>, name: string, bytes: Uint8Array): string {
  const etag = `"${++writes}"`;
  // Not from Node's pool: a small document would hold 8 KiB of it.
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  copy.set(bytes);
  blobs.set(name, { bytes: copy, etag, lastModified: new Date() });
  return etag;
}

/** Delays every answer, so that calls interleave as they do over a network. */
const soon = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

class MemoryStore implements DocumentStore {
  readonly #blobs: Map<string, Stored>;

  constructor(blobs: Map<string, Stored>) {
    this.#blobs = blobs;
  }

  async create(name: string, value: unknown): Promise<string | undefined> {
    await soon();
    if (this.#blobs.has(name)) return undefined;
    return store(this.#blobs, name, Buffer.from(JSON.stringify(value)));
  }

  async createIfAbsent(name: string, value: unknown): Promise<boolean> {
    await soon();
    if (this.#blobs.has(name)) return false;
    store(this.#blobs, name, Buffer.from(JSON.stringify(value)));
    return true;
  }

  async put(name: string, value: unknown): Promise<void> {
    await soon();
    store(this.#blobs, name, Buffer.from(JSON.stringify(value)));
  }

  async read<T>(name: string): Promise<{ value: T; etag: string; length: number } | undefined> {
    await soon();
    const found = this.#blobs.get(name);
    if (found === undefined) return undefined;
    try {
      const value = JSON.parse(found.bytes.toString()) as T;
      return { value, etag: found.etag, length: found.bytes.length };
    } catch {
      throw new DamagedDocumentError(name, 'is not JSON', found.etag);
    }
  }

  async exists(name: string): Promise<boolean> {
    await soon();
    return this.#blobs.has(name);
  }

  async replaceIfUnchanged(name: string, value: unknown, etag: string): Promise<string> {
    await soon();
    if (this.#blobs.get(name)?.etag !== etag) throw new ConflictError(`cannot replace ${name}`);
    return store(this.#blobs, name, Buffer.from(JSON.stringify(value)));
  }

  async deleteIfUnchanged(name: string, etag: string): Promise<boolean> {
    await soon();
    const found = this.#blobs.get(name);
    if (found === undefined) return false;
    if (found.etag !== etag) throw new ConflictError(`cannot delete ${name}`);
    return this.#blobs.delete(name);
  }

  async putBytes(name: string, bytes: Uint8Array): Promise<void> {
    await soon();
    store(this.#blobs, name, bytes);
  }

  async putText(name: string, text: string): Promise<void> {
    await soon();
    store(this.#blobs, name, Buffer.from(text));
  }

  async getBytes(name: string): Promise<Buffer | undefined> {
    await soon();
    const found = this.#blobs.get(name);
    return found && Buffer.from(found.bytes);
  }

  async append(name: string, text: string): Promise<void> {
    await soon();
    store(
      this.#blobs,
      name,
      Buffer.concat([this.#blobs.get(name)?.bytes ?? Buffer.alloc(0), Buffer.from(text)]),
    );
  }

  async readEnd(name: string, bytes: number): Promise<Buffer | undefined> {
    await soon();
    const found = this.#blobs.get(name);
    return found && Buffer.from(found.bytes.subarray(Math.max(0, found.bytes.length - bytes)));
  }

  async *list(prefix: string): AsyncGenerator<{ name: string; lastModified: Date }> {
    await soon();
    for (const name of [...this.#blobs.keys()].sort()) {
      if (name.startsWith(prefix)) yield { name, lastModified: this.#blobs.get(name)!.lastModified };
    }
  }

  async *folders(prefix: string): AsyncGenerator<string> {
    await soon();
    const inside = [...this.#blobs.keys()].filter((name) => name.startsWith(prefix));
    const parts = inside.map((name) => name.slice(prefix.length).split('/'));
    yield* new Set(parts.flatMap(([folder, ...rest]) => (rest.length > 0 ? [folder!] : [])).sort());
  }

  async deletePrefix(prefix: string): Promise<number> {
    await soon();
    const names = [...this.#blobs.keys()].filter((name) => name.startsWith(prefix));
    for (const name of names) this.#blobs.delete(name);
    return names.length;
  }
}

class MemoryFile implements DatabaseFile {
  readonly #blobs: Map<string, Stored>;
  readonly #name: string;

  constructor(blobs: Map<string, Stored>, name: string) {
    this.#blobs = blobs;
    this.#name = name;
  }

  async open(ifNot?: string): Promise<StoredFile | 'absent' | 'unchanged'> {
    await soon();
    const found = this.#blobs.get(this.#name);
    if (found === undefined) return 'absent';
    return found.etag === ifNot ? 'unchanged' : this.state(found.etag, found.bytes.length);
  }

  state(etag: string, length: number): StoredFile {
    const read = async (parts: readonly FilePart[]): Promise<void> => {
      await soon();
      const found = this.#blobs.get(this.#name);
      if (found?.etag !== etag) throw new ConflictError('the database changed');
      for (const { at, into } of parts) {
        if (at + into.length > found.bytes.length) throw new RangeError('behind the end of the database');
        into.set(found.bytes.subarray(at, at + into.length));
      }
    };
    return { etag, length, read };
  }

  async currentEtag(): Promise<string | undefined> {
    await soon();
    return this.#blobs.get(this.#name)?.etag;
  }

  async blocks(): Promise<FileBlocks | undefined> {
    await soon();
    const { etag, bytes } = this.#blobs.get(this.#name) ?? {};
    if (etag === undefined || bytes === undefined) return undefined;
    const size = 65_536;
    const blocks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, n) => {
      const [from, to] = [n * size, Math.min(bytes.length, (n + 1) * size)];
      return { id: hash('sha256', bytes.subarray(from, to)), from, to };
    });
    return { etag, length: bytes.length, blocks };
  }

  async commit(content: FileContent, expected: { etag: string }): Promise<Commit> {
    await soon();
    if (content.length === 0) throw new SyncError('An empty file is not a database');
    const found = this.#blobs.get(this.#name);
    if ((found?.etag ?? 'absent') !== expected.etag) throw new ConflictError('cannot commit the database');
    const bytes = Buffer.from(await content.read(0, content.length));
    if (found !== undefined) checkUnchanged(content, bytes, found.bytes);
    if (this.#blobs.get(this.#name)?.etag !== found?.etag)
      throw new ConflictError('cannot commit the database');
    if (found?.bytes.equals(bytes)) return { etag: found.etag, blocks: 1, stagedBlocks: 0, stagedBytes: 0 };
    const etag = store(this.#blobs, this.#name, bytes);
    return { etag, blocks: 1, stagedBlocks: 1, stagedBytes: bytes.length };
  }
}

/** A real file keeps the stored blocks that the content calls unchanged: here they are compared. */
function checkUnchanged(content: FileContent, bytes: Buffer, stored: Buffer): void {
  const size = 65_536;
  for (let from = 0; from < bytes.length; from += size) {
    const to = Math.min(bytes.length, from + size);
    if (content.isChanged(from, to)) continue;
    if (!bytes.subarray(from, to).equals(stored.subarray(from, Math.min(stored.length, from + size)))) {
      throw new Error(`The bytes ${from} to ${to} changed, and the content does not say so.`);
    }
  }
}

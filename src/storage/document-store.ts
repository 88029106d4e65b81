import { SyncError } from '../errors.ts';

/** A document that another program wrote or damaged. The caller may replace it: the error has its ETag. */
export class DamagedDocumentError extends SyncError {
  override readonly name: string = 'DamagedDocumentError';
  readonly etag: string;

  constructor(document: string, what: string, etag: string) {
    super(`${document} ${what}.`, {
      operation: 'read',
      object: document,
      hint: `Another program wrote it. Delete ${document}.`,
    });
    this.etag = etag;
  }
}

/** What a read brings; undefined if the document is damaged, for documents that can be made again. */
export async function unlessDamaged<T>(read: Promise<T>): Promise<T | undefined> {
  try {
    return await read;
  } catch (error) {
    if (error instanceof DamagedDocumentError) return undefined;
    throw error;
  }
}

/**
 * Small documents and bytes by name. Everything concurrent is made of two calls: create if absent, and replace if
 * unchanged. `WorkStore` keeps them in Blob storage.
 */
export interface DocumentStore {
  /** Creates the document. Returns its ETag, or undefined if one exists. */
  create(name: string, value: unknown): Promise<string | undefined>;
  /** Creates the document. Returns false if one exists. */
  createIfAbsent(name: string, value: unknown): Promise<boolean>;
  /** Writes the document over whatever is there. */
  put(name: string, value: unknown): Promise<void>;
  /** The document, its ETag, and its length in bytes; or undefined. @throws DamagedDocumentError if it is not JSON */
  read<T>(name: string): Promise<{ value: T; etag: string; length: number } | undefined>;
  /** Whether the document exists. Moves no content. */
  exists(name: string): Promise<boolean>;
  /** Returns the new ETag. @throws ConflictError if the document changed or was deleted */
  replaceIfUnchanged(name: string, value: unknown, etag: string): Promise<string>;
  /** Returns false if the document does not exist. @throws ConflictError if it changed */
  deleteIfUnchanged(name: string, etag: string): Promise<boolean>;
  putBytes(name: string, bytes: Uint8Array): Promise<void>;
  putText(name: string, text: string, contentType: string): Promise<void>;
  getBytes(name: string): Promise<Buffer | undefined>;
  /** Adds lines to the end of a file that only this call writes, and creates it. Lost answers may add them twice. */
  append(name: string, text: string): Promise<void>;
  /** The last bytes of a file, at most so many; undefined if there is none. */
  readEnd(name: string, bytes: number): Promise<Buffer | undefined>;
  /** The names that begin with `prefix`, in order. */
  list(prefix: string): AsyncGenerator<{ name: string; lastModified: Date }>;
  /** The names of the folders directly in `prefix`, which ends in `/`, in order. Costs no listing of what is in them. */
  folders(prefix: string): AsyncGenerator<string>;
  /** Deletes everything whose name begins with `prefix`. Returns how many blobs it deleted. */
  deletePrefix(prefix: string): Promise<number>;
}

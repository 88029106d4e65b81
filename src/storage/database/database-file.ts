/** One file that changes as a whole: a reader sees the state before a commit or the one after it. `DatabaseBlob` is one. */
export interface DatabaseFile {
  /**
   * The file's present state, to be read in parts.
   * @param ifNot the ETag of the state that the caller has: `unchanged` if it is still the present one
   */
  open(ifNot?: string): Promise<StoredFile | 'absent' | 'unchanged'>;
  /** A state of the file that was present when the caller knew of it: the one that a commit made, for example. */
  state(etag: string, length: number): StoredFile;
  /** The ETag of the present state, undefined if there is no file. Moves no content. */
  currentEtag(): Promise<string | undefined>;
  /** The blocks of the present state, in order; undefined if there is no file. Moves no content. */
  blocks(): Promise<FileBlocks | undefined>;
  /**
   * Replaces the state `expected` by `content`. Only blocks that changed are read, hashed and uploaded. The content must
   * not change before the promise settles.
   * @throws ConflictError if another state is present
   */
  commit(content: FileContent, expected: { etag: string | 'absent' }): Promise<Commit>;
}

/** One state of the file. */
export interface StoredFile {
  etag: string;
  /** In bytes. */
  length: number;
  /**
   * Fills the buffers with the file's bytes, as many at once as the storage is given requests.
   * @throws ConflictError if another writer has replaced this state
   */
  read(parts: readonly FilePart[]): Promise<void>;
}

/** What one state of the file consists of. */
export interface FileBlocks {
  etag: string;
  /** Of the file, in bytes. */
  length: number;
  blocks: FileBlock[];
}

/** A stretch of the file. The same bytes at the same place may have the same id in another state, others never do. */
export interface FileBlock {
  id: string;
  from: number;
  to: number;
}

/** A stretch of the file, and where its bytes go. */
export interface FilePart {
  at: number;
  into: Uint8Array;
}

/** What a file is to contain. */
export interface FileContent {
  /** In bytes. */
  length: number;
  /** Whether any byte of this stretch may differ from the state that is replaced; new bytes at the end do. */
  isChanged(from: number, to: number): boolean;
  /** The bytes of a stretch. It may contain bytes that did not change. */
  read(from: number, to: number): Uint8Array | Promise<Uint8Array>;
}

export interface Commit {
  etag: string;
  /** The number of blocks of the whole file. */
  blocks: number;
  /** The blocks and bytes that were uploaded. */
  stagedBlocks: number;
  stagedBytes: number;
}

/** A content of which every byte may have changed. */
export function wholeContent(bytes: Uint8Array): FileContent {
  return { length: bytes.length, isChanged: () => true, read: (from, to) => bytes.subarray(from, to) };
}

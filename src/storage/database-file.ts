/** One file that changes as a whole: a reader sees the state before a commit or the one after it. `DatabaseBlob` is one. */
export interface DatabaseFile {
  /**
   * The file's present state.
   * @param ifNot the ETag of the state that the caller has: `unchanged` if it is still the present one
   */
  load(ifNot?: string): Promise<{ bytes: Buffer; etag: string } | 'absent' | 'unchanged'>;
  /** The ETag of the present state, undefined if there is no file. Moves no content. */
  currentEtag(): Promise<string | undefined>;
  /** Replaces the state `expected` by `bytes`. @throws ConflictError if another state is present */
  commit(bytes: Uint8Array, expected: { etag: string | 'absent' }): Promise<Commit>;
}

export interface Commit {
  etag: string;
  /** The number of blocks of the whole file. */
  blocks: number;
  /** The blocks and bytes that were uploaded. */
  stagedBlocks: number;
  stagedBytes: number;
}

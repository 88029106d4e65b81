/** What is needed to go on with an upload. It is plain JSON, and useless after the upload has ended. */
export interface UploadState {
  /** Names the upload. Whoever has it may add blocks to it. */
  readonly token: string;
  readonly fileName: string;
  readonly totalBytes: number;
  readonly blockBytes: number;
  /** The blocks that Dataverse has, in their order. */
  readonly blocks: readonly string[];
}

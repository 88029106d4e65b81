import type { StoredFile } from '../../storage/database/database-file.ts';

/** Where the file of a mirror is. */
export interface MirrorSource {
  /** For messages. Without a key. */
  readonly name: string;
  /** The present state. @throws ConfigurationError if there is no file */
  open(): Promise<StoredFile>;
}

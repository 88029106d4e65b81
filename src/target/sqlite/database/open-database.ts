import type { DatabaseReport } from '../../state.ts';
import type { Work } from '../database-work.ts';

/** The database while one writer changes it. */
export interface OpenDatabase {
  readonly work: Work;
  /** Of the state that was opened; undefined if the database is new. */
  readonly etag: string | undefined;
  /** Whether it is in memory as a whole, so that looking at all of it costs little. */
  readonly isSmall: boolean;
  /** The size of the file that was opened, in bytes. */
  readonly length: number;
  /** Stores the database as it is. Nothing may change it afterwards. @throws ConflictError */
  store(): Promise<DatabaseReport>;
  /** Without `store`: the database still equals the file, and is kept in memory. */
  keep(): void;
}

/** A database that an instance has opened, and can keep open between invocations as long as the file stays the same. */
export interface KeptDatabase {
  readonly work: Work;
  /** The state of the file that it was opened from or stored as; undefined if the database is new. */
  readonly etag: string | undefined;
  readonly isSmall: boolean;
  /** The size of the file in bytes. */
  readonly length: number;
  store(): Promise<DatabaseReport>;
  close(): Promise<void> | void;
}

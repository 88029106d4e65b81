import type { TableConfig } from '../../config/entities.ts';
import type { Settings } from '../../config/settings.ts';
import type { DataverseClient } from '../../dataverse/client.ts';
import type { Sqlite } from '../../sqlite/sqlite.ts';
import type { DatabaseBlob } from '../../storage/database-blob.ts';
import type { FileBlobs } from '../../storage/file-blobs.ts';
import type { ShardCache } from '../../storage/shard-cache.ts';
import type { WorkStore } from '../../storage/work-store.ts';
import type { DatabaseHolder } from '../../target/sqlite/database-cache.ts';
import type { Telemetry } from '../../telemetry/telemetry.ts';
import type { Documents } from './claim-reader.ts';
import type { FetchMessage, MergeMessage } from './messages.ts';
import type { ProgressBoard } from './progress.ts';

/** What a run works with. Made once per process; tests make their own. */
export interface SyncServices {
  settings: Settings;
  /** Read anew for each run, so that a mistake in entities.json is told by the run that meets it. */
  readEntities: () => TableConfig[];
  dataverse: DataverseClient;
  sqlite: Sqlite;
  /** Runs and their documents. */
  work: WorkStore;
  documents: Documents;
  /** What readers use: the database's container. */
  published: WorkStore;
  databaseBlob: DatabaseBlob;
  database: DatabaseHolder;
  /** Contents of file and image columns, beside the database. */
  files: FileBlobs;
  shards: ShardCache;
  sendFetch: (message: FetchMessage) => Promise<void>;
  sendMerge: (message: MergeMessage) => Promise<void>;
  progress: ProgressBoard;
  telemetry: Telemetry;
  now: () => Date;
  /** A short random text for names of attempts and runs. */
  randomId: () => string;
}

import type { TableConfig } from '../../config/entities.ts';
import type { Settings } from '../../config/settings.ts';
import type { DataverseClient } from '../../dataverse/client.ts';
import type { Sqlite } from '../../sqlite/sqlite.ts';
import type { DocumentStore } from '../../storage/document-store.ts';
import type { LandingZone } from '../../storage/fabric/landing-zone.ts';
import type { FileStore } from '../../storage/file-blobs.ts';
import type { ShardCache } from '../../storage/shard-cache.ts';
import type { MirrorTarget } from '../../target/mirror-target.ts';
import type { Telemetry } from '../../telemetry/telemetry.ts';
import type { DocumentReader } from './document-reader.ts';
import type {
  ChangesMessage,
  CheckMessage,
  ExportMessage,
  FetchMessage,
  MergeMessage,
  PlanMessage,
} from './messages.ts';
import type { ProgressTracker } from './progress-tracker.ts';

/** What a run works with. Made once per process; tests make their own. */
export interface SyncServices {
  settings: Settings;
  /** Reads entities.json again for each run, so that a run reports a mistake that was made since the last one. */
  readEntities: () => TableConfig[];
  dataverse: DataverseClient;
  /** For shards. */
  sqlite: Sqlite;
  /** The container of runs and their documents. */
  work: DocumentStore;
  documents: DocumentReader;
  /** The container that people and programs read: the mirror and its reports. */
  published: DocumentStore;
  mirror: MirrorTarget;
  /** Contents of file and image columns, in the published container. */
  files: FileStore;
  /** The landing zone that tables are exported to; undefined without one. */
  lake?: LandingZone | undefined;
  shards: ShardCache;
  /** `delaySeconds`: the message is not delivered before. */
  sendPlan: (message: PlanMessage, delaySeconds?: number) => Promise<void>;
  sendFetch: (message: FetchMessage, delaySeconds?: number) => Promise<void>;
  /** `delaySeconds`: the message is not delivered before. */
  sendMerge: (message: MergeMessage, delaySeconds?: number) => Promise<void>;
  sendCheck: (message: CheckMessage) => Promise<void>;
  /** `delaySeconds`: the message is not delivered before. */
  sendExport: (message: ExportMessage, delaySeconds?: number) => Promise<void>;
  /** `delaySeconds`: the message is not delivered before. */
  sendChanges: (message: ChangesMessage, delaySeconds: number) => Promise<void>;
  /** Sends a message to any queue. */
  sendTo: (queue: string, message: object, delaySeconds: number) => Promise<void>;
  /** Makes sure that the queues are not those of another app. @throws ConfigurationError */
  claimQueues: (now: Date) => Promise<void>;
  progress: ProgressTracker;
  telemetry: Telemetry;
  now: () => Date;
  /** A short random text for the names of runs and of attempts. */
  randomId: () => string;
}

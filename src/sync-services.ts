import { randomBytes } from 'node:crypto';
import { entitiesOf, withDefaults } from './config/entities.ts';
import type { Settings } from './config/settings.ts';
import { createDataverseClient } from './dataverse/client.ts';
import { createCredential } from './dataverse/credential.ts';
import { loadSqlite } from './sqlite/sqlite.ts';
import type { DatabaseFile } from './storage/database/database-file.ts';
import { ShardCache } from './storage/shard-cache.ts';
import { DocumentReader } from './sync/documents/document-reader.ts';
import { ProgressTracker } from './sync/documents/progress-tracker.ts';
import type { SyncServices } from './sync/documents/services.ts';
import { openTarget } from './target/open-target.ts';
import type { Properties, Telemetry } from './telemetry/telemetry.ts';

/** What the sync keeps outside of this process. */
export interface SyncStorage
  extends Pick<
    SyncServices,
    | 'work'
    | 'published'
    | 'files'
    | 'sendPlan'
    | 'sendFetch'
    | 'sendMerge'
    | 'sendCheck'
    | 'sendExport'
    | 'sendChanges'
    | 'lake'
    | 'sendTo'
    | 'claimQueues'
  > {
  databaseFile: DatabaseFile;
  /** The file of a database that entities.json names. */
  namedFile: (name: string) => DatabaseFile;
}

/** Puts the parts of the sync together. Nothing here knows where the storage is. */
export async function createSyncServices(
  settings: Settings,
  storage: SyncStorage,
  telemetry: Telemetry,
): Promise<SyncServices> {
  const sqlite = await loadSqlite();
  const { databaseFile, namedFile, ...stores } = storage;
  return {
    ...stores,
    settings,
    readEntities: () => withDefaults(entitiesOf(settings), settings.sync),
    dataverse: createDataverseClient({
      url: settings.dataverse.url,
      credential: createCredential(settings.dataverse.credential),
      maxConcurrency: settings.dataverse.maxConcurrency,
      log: (level, message, properties) => telemetry.log(level, message, properties as Properties),
    }),
    sqlite,
    documents: new DocumentReader(storage.work),
    mirror: openTarget({
      settings,
      sqlite,
      fileOf: (name) => (name === undefined ? databaseFile : namedFile(name)),
      documents: storage.published,
      telemetry,
    }),
    shards: new ShardCache(settings.sync.shardBytes),
    progress: new ProgressTracker(storage.work),
    telemetry,
    now: () => new Date(),
    randomId: () => randomBytes(4).toString('hex'),
  };
}

import { randomBytes } from 'node:crypto';
import { readEntities } from './config/entities.ts';
import { readSettings, type Settings } from './config/settings.ts';
import { createDataverseClient } from './dataverse/client.ts';
import { createCredential } from './dataverse/credential.ts';
import { allocateGrowable } from './sqlite/growable-file.ts';
import { loadSqlite } from './sqlite/sqlite.ts';
import { openStorageAccount, type StorageConnection } from './storage/account.ts';
import { DatabaseBlob } from './storage/database-blob.ts';
import { FileBlobs } from './storage/file-blobs.ts';
import { queueSender } from './storage/queue-sender.ts';
import { ShardCache } from './storage/shard-cache.ts';
import { WorkStore } from './storage/work-store.ts';
import { Documents } from './sync/documents/claim-reader.ts';
import { fetchQueue, mergeQueue } from './sync/documents/messages.ts';
import { ProgressBoard } from './sync/documents/progress.ts';
import type { SyncServices } from './sync/documents/services.ts';
import { DatabaseHolder } from './target/sqlite/database-cache.ts';
import { invocationSink } from './telemetry/invocation-log.ts';
import { monitor } from './telemetry/monitor.ts';
import { createTelemetry, type Properties } from './telemetry/telemetry.ts';

let services: Promise<SyncServices> | undefined;

/** The services of this process, made on first use; a failure (wrong settings) is told anew at each call. */
export function syncServices(): Promise<SyncServices> {
  services ??= createSyncServices(readSettings()).catch((error: unknown) => {
    services = undefined;
    throw error;
  });
  return services;
}

/** Puts the parts together; the one place that knows them all. */
export async function createSyncServices(settings: Settings): Promise<SyncServices> {
  const telemetry = createTelemetry(invocationSink, monitor);
  const account = openStorageAccount(storageConnection(settings.storage));
  const work = new WorkStore(account.blobs.getContainerClient(settings.containers.work));
  const databaseContainer = account.blobs.getContainerClient(settings.containers.database);
  const databaseBlob = new DatabaseBlob(databaseContainer, settings.databaseName, {
    allocate: allocateGrowable,
  });
  const sqlite = await loadSqlite();
  return {
    settings,
    readEntities: () => readEntities(settings.entitiesFile),
    dataverse: createDataverseClient({
      url: settings.dataverse.url,
      credential: createCredential(settings.dataverse.credential),
      maxConcurrency: settings.dataverse.maxConcurrency,
      log: (level, message, properties) => telemetry.log(level, message, properties as Properties),
    }),
    sqlite,
    work,
    documents: new Documents(work),
    published: new WorkStore(databaseContainer),
    databaseBlob,
    database: new DatabaseHolder(databaseBlob, sqlite, settings.sync.databaseMaxBytes),
    files: new FileBlobs(databaseContainer),
    shards: new ShardCache(),
    sendFetch: queueSender(account.queues.getQueueClient(fetchQueue)),
    sendMerge: queueSender(account.queues.getQueueClient(mergeQueue)),
    progress: new ProgressBoard(),
    telemetry,
    now: () => new Date(),
    randomId: () => randomBytes(4).toString('hex'),
  };
}

/** Storage by connection string, or by the function app's own identity. */
export function storageConnection(storage: Settings['storage']): StorageConnection {
  const { connectionString, blobServiceUri, queueServiceUri, clientId } = storage;
  if (connectionString !== undefined) return { connectionString };
  const credential = createCredential(clientId === undefined ? {} : { clientId });
  return { blobServiceUri: blobServiceUri!, queueServiceUri: queueServiceUri!, credential };
}

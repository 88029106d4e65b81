import type { BlobServiceClient, ContainerClient } from '@azure/storage-blob';
import { type Environment, perEnvironment } from './config/environments/environment.ts';
import { queueName } from './config/queue-names.ts';
import { readSettings, type Settings } from './config/settings.ts';
import type { StorageSettings } from './config/storage-settings.ts';
import { createCredential } from './dataverse/credential.ts';
import { describeForLog } from './errors.ts';
import type { QueryServices } from './http/sync/query.ts';
import {
  type BlobConnection,
  openBlobs,
  openStorageAccount,
  type StorageConnection,
} from './storage/account.ts';
import { DatabaseBlob } from './storage/database/database-blob.ts';
import type { DatabaseFile } from './storage/database/database-file.ts';
import { databaseFileOf, databaseNameOf } from './storage/database/database-names.ts';
import { DatabaseVersions } from './storage/database/database-versions.ts';
import { PublishedDatabase } from './storage/database/published-database.ts';
import { restoreVersion } from './storage/database/restore-version.ts';
import { LandingZone } from './storage/fabric/landing-zone.ts';
import { FileBlobs } from './storage/file-blobs.ts';
import { QueueOwner } from './storage/queue-owner.ts';
import { queueSender } from './storage/queue-sender.ts';
import { WorkStore } from './storage/work-store.ts';
import {
  changesQueue,
  checkQueue,
  exportQueue,
  fetchQueue,
  mergeQueue,
  planQueue,
} from './sync/documents/messages.ts';
import type { SyncServices } from './sync/documents/services.ts';
import type { RestoreServices } from './sync/restore/restore-database.ts';
import { createSyncServices, type SyncStorage } from './sync-services.ts';
import { openMirrorQueries } from './target/postgres/query/mirror-query.ts';
import { CheckedFiguresFile } from './target/sqlite/check/checked-figures.ts';
import { invocationSink } from './telemetry/invocation-log.ts';
import { monitor } from './telemetry/monitor.ts';
import { createTelemetry, type Telemetry } from './telemetry/telemetry.ts';
import { currentRunTrace } from './telemetry/tracing.ts';

/** The services of an environment in this process, made on first use. After a failure (wrong settings) the next call tries again. */
export const syncServices = perEnvironment(
  async ({ settings: given }: Environment): Promise<SyncServices> => {
    const settings = readSettings(given);
    return createSyncServices(settings, openSyncStorage(settings), telemetryOf(settings));
  },
);

/** What an environment tells the monitor and the log. */
export function telemetryOf({ environment }: Pick<Settings, 'environment'>): Telemetry {
  return createTelemetry(invocationSink, monitor, { environment });
}

/** What answers queries of people, made on first use. It connects with the first query. @throws ConfigurationError */
export const mirrorQueries = perEnvironment(({ settings }): QueryServices => {
  const { postgres } = readSettings(settings);
  return postgres === undefined ? 'a file' : (openMirrorQueries(postgres) ?? 'no reader');
});

/**
 * The databases as readers see them, by the name of one that entities.json names; undefined for the default one. Needs neither
 * Dataverse nor sql.js. No request is sent yet. It answers undefined if the mirror is no file.
 */
export type PublishedDatabases = (name?: string) => PublishedDatabase | undefined;

/** The published databases of an environment. The settings are read with the first call. @throws ConfigurationError */
export const publishedDatabases = perEnvironment((environment): PublishedDatabases => {
  const { postgres, databaseName, ...settings } = readSettings(environment.settings);
  if (postgres !== undefined) return () => undefined;
  const container = databaseContainer(settings);
  return (name) => new PublishedDatabase(container, databaseFileOf(databaseName, name));
});

/**
 * What a restore of a database needs: storage alone. No request is sent yet.
 * @param name of a database that entities.json names; undefined for the default one
 */
export function openRestore(settings: Settings, name?: string): RestoreServices {
  const { blobs } = openStorageAccount(storageConnection(settings.storage));
  const container = databaseContainer(settings);
  const file = databaseFileOf(settings.databaseName, name);
  const versions = databaseVersions(settings, container, file);
  const isDefault = file === settings.databaseName;
  const figures = new CheckedFiguresFile(new WorkStore(container), isDefault ? undefined : name);
  return {
    name: file,
    database: databaseNameOf(file),
    work: new WorkStore(blobs.getContainerClient(settings.containers.work)),
    listVersions: () => versions.list(),
    restore: async (version, expected) => {
      // Without them, the counts of the restored database stay until the next check.
      await figures.forget();
      return restoreVersion(container, versions, version, expected);
    },
  };
}

function databaseVersions(settings: Settings, container: ContainerClient, file: string): DatabaseVersions {
  const { log } = telemetryOf(settings);
  return new DatabaseVersions(container, file, {
    keep: settings.sync.keepVersions,
    warn: (message, error) => log('warn', `${message}: ${describeForLog(error)}`),
  });
}

function databaseContainer({
  databaseStorage,
  containers,
}: Pick<Settings, 'databaseStorage' | 'containers'>): ContainerClient {
  return openBlobs(blobConnection(databaseStorage)).getContainerClient(containers.database);
}

/**
 * The container of the landing zone: in an account that the app reaches with a connection string, as in tests and local work,
 * or else with the identity of the app.
 */
function lakeContainer({ landingZone, storage, databaseStorage }: Settings): ContainerClient {
  const { blobServiceUri, container } = landingZone!;
  if (blobServiceUri === undefined)
    return openBlobs(blobConnection(databaseStorage)).getContainerClient(container);
  const isThere = ({ url }: BlobServiceClient) => url.replace(/\/$/, '') === blobServiceUri;
  const known = [storage, databaseStorage]
    .filter(({ connectionString }) => connectionString !== undefined)
    .map((account) => openBlobs(blobConnection(account)))
    .find(isThere);
  const { clientId } = storage;
  const blobs = known ?? openBlobs({ blobServiceUri, credential: createCredential({ clientId }) });
  return blobs.getContainerClient(container);
}

/** The configured storage accounts. No request is sent yet. */
export function openSyncStorage(settings: Settings): SyncStorage {
  const { blobs, queues } = openStorageAccount(storageConnection(settings.storage));
  const published = databaseContainer(settings);
  const { log } = telemetryOf(settings);
  const env = { SYNC_QUEUE_PREFIX: settings.queuePrefix };
  const send = (name: string) => {
    const sender = queueSender(queues.getQueueClient(queueName(name, env)));
    return (message: object, delaySeconds?: number) =>
      sender(
        { ...message, app: settings.app, traceparent: currentRunTrace() },
        { visibilityTimeout: delaySeconds },
      );
  };
  const databaseFile = (name: string | undefined): DatabaseFile => {
    const file = databaseFileOf(settings.databaseName, name);
    const versions = databaseVersions(settings, published, file);
    return new DatabaseBlob(published, file, {
      maxBytes: settings.sync.databaseMaxBytes,
      beforeCommit: (etag) => versions.beforeCommit(etag),
      log: (message, properties) => log('warn', message, properties),
    });
  };
  const owner = new QueueOwner(queues.getQueueClient(queueName(planQueue, env)), settings.app);
  return {
    work: new WorkStore(blobs.getContainerClient(settings.containers.work)),
    published: new WorkStore(published),
    databaseFile: databaseFile(undefined),
    namedFile: databaseFile,
    files: new FileBlobs(published),
    sendPlan: send(planQueue),
    sendFetch: send(fetchQueue),
    sendMerge: send(mergeQueue),
    sendCheck: send(checkQueue),
    sendExport: send(exportQueue),
    sendChanges: send(changesQueue),
    lake: settings.landingZone && new LandingZone(lakeContainer(settings), settings.landingZone.folder),
    sendTo: (queue, message, delaySeconds) =>
      queueSender(queues.getQueueClient(queue))(message, { visibilityTimeout: delaySeconds }),
    claimQueues: (now) => owner.claim(now),
  };
}

/** Storage by connection string, or by the function app's own identity. */
export function storageConnection(storage: StorageSettings): StorageConnection {
  const connection = blobConnection(storage);
  if ('connectionString' in connection) return connection;
  return { ...connection, queueServiceUri: storage.queueServiceUri! };
}

/** The same for an account of which only blobs are used. */
export function blobConnection({
  connectionString,
  blobServiceUri,
  clientId,
}: StorageSettings): BlobConnection {
  if (connectionString !== undefined) return { connectionString };
  return { blobServiceUri: blobServiceUri!, credential: createCredential({ clientId }) };
}

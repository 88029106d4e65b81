import { resolve } from 'node:path';
import * as z from 'zod';
import { ConfigurationError } from '../errors.ts';
import { availableMemory, cacheMegabytesFor } from './available-memory.ts';
import { environmentOrigin } from './environment-url.ts';
import { type Kept, keepSetting, parseSettings } from './parse-settings.ts';
import {
  type PostgresSettings,
  postgresAppSettings,
  postgresFaults,
  postgresSettings,
} from './postgres/postgres-settings.ts';
import { defaultQueuePrefix, queuePrefixPattern } from './queue-names.ts';
import {
  databaseStorage,
  hostStorage,
  isReservedBlob,
  type LandingZoneAddress,
  landingZoneAddress,
  type StorageSettings,
  storageAppSettings,
  storageFaults,
} from './storage-settings.ts';
import { intervalPattern } from './strategies.ts';

/** How the app signs in to Dataverse; the client's `createCredential` turns this into a credential. */
export interface DataverseCredentialSettings {
  /** A bearer token, for development and tests. Never logged. */
  accessToken?: string;
  tenantId?: string;
  /** Client id of the application, or of a user-assigned managed identity. */
  clientId?: string;
  clientSecret?: string;
  certificatePath?: string;
  /** File with a federated token, for workload identity. */
  federatedTokenFile?: string;
  /** Authority host to use instead of `login.microsoftonline.com`, for national clouds and tests. */
  authorityHost?: string;
}

/** The app settings, validated. Times in seconds, sizes in bytes. */
export interface Settings {
  dataverse: {
    /** The environment's origin, without a path. */
    url: string;
    credential: DataverseCredentialSettings;
    maxConcurrency: number;
    pageSize: number;
  };
  storage: StorageSettings;
  /** Of the container `containers.database`; the same account as `storage` unless `SYNC_DATABASE_STORAGE` names another. */
  databaseStorage: StorageSettings;
  /** Tells this app from others that use the same storage account: its name in Azure, or else its work container. */
  app: string;
  /** The name of the environment in environments.json; undefined for that of the app settings. */
  environment?: string | undefined;
  /** Begins the names of the queues; see queue-names.ts. */
  queuePrefix: string;
  containers: { work: string; database: string };
  databaseName: string;
  /** Where the mirror is instead of SQLite files. */
  postgres?: PostgresSettings | undefined;
  /** Where changed tables are written for Microsoft Fabric; undefined if they are not. */
  landingZone?: LandingZoneAddress | undefined;
  /** Absolute path. */
  entitiesFile: string;
  sync: {
    sliceSeconds: number;
    sliceBytes: number;
    staleAfterSeconds: number;
    /** From a change in Dataverse to the run that reads it, together with what changes meanwhile. */
    changesDelaySeconds: number;
    /** Least seconds between the starts of two runs for changes; 0: none, however long runs take. */
    changesIntervalSeconds: number;
    maxWaitSeconds: number;
    overlapSeconds: number;
    /** A time such as `1h`, or a number of runs; see strategies.ts. */
    reconcileEvery: number | string;
    verifyHours: number;
    /** How often all of a large database is checked; 0: never. */
    checkHours: number;
    massDeleteLimit: number;
    /** How decimals are stored where entities.json does not say. */
    decimals: 'real' | 'text';
    databaseMaxBytes: number;
    /** Earlier states of the database that commits keep; a count of 0 for none. */
    keepVersions: Kept;
    /** Reports of runs that stay. */
    keepRuns: Kept;
    /** The memory for the database. */
    cacheBytes: number;
    /** The memory for shards that this process fetched and has not merged yet. */
    shardBytes: number;
  };
}

/** Where the settings of an environment have its name. No app setting can be called so: its name has a colon. */
export const environmentKey = 'environment:name';

/** Where settings say how many environments share the memory of a process. Absent: the only one. */
export const sharersKey = 'environment:sharers';

const megabyte = 1024 * 1024;

/** The memory for shards in a process, which has as much for pages in progress and code. */
const shardBytes = 256_000_000;

const number = (fallback: number, min: number, max: number) =>
  z.coerce.number().min(min).max(max).default(fallback);
const integer = (fallback: number, min: number, max: number) =>
  z.coerce.number().int().min(min).max(max).default(fallback);
const container = (fallback: string) =>
  z
    .string()
    .regex(/^[a-z0-9](?:[a-z0-9]|-(?!-)){1,61}[a-z0-9]$/, 'must be a valid container name')
    .default(fallback);
const text = z.string().trim().min(1).optional();

const landingZoneForm =
  'must be the address of a landing zone, https://onelake.dfs.fabric.microsoft.com/<workspace>/<mirrored database>/Files/LandingZone, of a folder in a storage account, or a container of the account of the database';

/** The app settings with their defaults. The documentation explains each one. */
const appSettings = z.object({
  DATAVERSE_URL: z.string().trim().min(1),
  DATAVERSE_ACCESS_TOKEN: text,
  DATAVERSE_TENANT_ID: text,
  DATAVERSE_CLIENT_ID: text,
  DATAVERSE_CLIENT_SECRET: text,
  DATAVERSE_CLIENT_CERTIFICATE_PATH: text,
  DATAVERSE_FEDERATED_TOKEN_FILE: text,
  DATAVERSE_AUTHORITY_HOST: text,
  DATAVERSE_MAX_CONCURRENCY: integer(16, 1, 52),
  DATAVERSE_PAGE_SIZE: integer(5000, 1, 5000),
  ...storageAppSettings,
  ...postgresAppSettings,
  /** Set by Azure: the name of the function app. */
  WEBSITE_SITE_NAME: text,
  SYNC_QUEUE_PREFIX: z
    .string()
    .trim()
    .regex(queuePrefixPattern, 'must be 2 to 37 lower-case letters, digits and single hyphens')
    .default(defaultQueuePrefix),
  SYNC_WORK_CONTAINER: container('sync-work'),
  SYNC_DATABASE_CONTAINER: container('dataverse'),
  SYNC_DATABASE_NAME: z.string().trim().min(1).max(200).default('dataverse.db'),
  SYNC_ENTITIES_FILE: z.string().trim().min(1).default('entities.json'),
  SYNC_ENVIRONMENTS_FILE: text,
  SYNC_SLICE_SECONDS: number(120, 0.001, 3600),
  SYNC_SLICE_MB: number(64, 0.001, 1024),
  SYNC_STALE_AFTER: number(900, 1, 86_400),
  SYNC_MAX_WAIT: number(3600, 0, 86_400),
  SYNC_CHANGES_DELAY: integer(5, 0, 3600),
  SYNC_CHANGES_INTERVAL: integer(30, 0, 86_400),
  SYNC_OVERLAP_SECONDS: number(120, 0, 86_400),
  SYNC_RECONCILE_EVERY: z
    .string()
    .trim()
    .refine(
      (text) => intervalPattern.test(text) || (/^\d{1,5}$/.test(text) && Number(text) <= 10_000),
      'must be a time such as 30m, 1h or 1d, or a whole number of runs',
    )
    .transform((text) => (intervalPattern.test(text) ? text : Number(text)))
    .default('1h'),
  SYNC_VERIFY_HOURS: number(24, 0, 8760),
  SYNC_CHECK_HOURS: number(168, 0, 8760),
  SYNC_MASS_DELETE_LIMIT: number(0.5, 0, 1),
  SYNC_DECIMALS: z.enum(['real', 'text']).default('real'),
  SYNC_DATABASE_MAX_MB: number(12_288, 1, 86_016),
  SYNC_CACHE_MB: z
    .string()
    .trim()
    .default('auto')
    .transform((text) => (text === 'auto' ? cacheMegabytesFor(availableMemory()) : Number(text)))
    .refine(
      (megabytes) => megabytes >= 0.001 && megabytes <= 16_384,
      'must be auto, or megabytes from 0.001 to 16384',
    ),
  // learn.microsoft.com, Blob versioning: listing becomes slow beyond a thousand versions or snapshots.
  SYNC_KEEP_VERSIONS: keepSetting('0', 0, 1000),
  // GET /api/health looks at the newest five, GET /api/sync shows 20.
  SYNC_KEEP_RUNS: keepSetting('100', 5, 10_000),
  FABRIC_LANDING_ZONE: z
    .string()
    .trim()
    .transform((address, context) => {
      const found = landingZoneAddress(address);
      if (found !== undefined) return found;
      context.addIssue({ code: 'custom', message: landingZoneForm });
      return z.NEVER;
    })
    .optional(),
  DASHBOARD_AUTH: z.enum(['key', 'entra']).default('key'),
});

/** All app settings of the sync. */
export const settingNames = Object.keys(appSettings.shape);

/**
 * Reads and validates the app settings.
 * @param root the folder that contains host.json; relative paths are resolved against it
 * @throws ConfigurationError that names every invalid setting
 */
export function readSettings(
  env: Record<string, string | undefined> = process.env,
  root: string = process.cwd(),
): Settings {
  const s = parseSettings(
    appSettings,
    env,
    {
      operation: 'read the app settings',
      hint: 'Set them in the function app, or in local.settings.json to run locally; local.settings.json.example lists all of them.',
    },
    checkTogether,
  );
  const environment = env[environmentKey];
  return {
    dataverse: {
      url: environmentOrigin(s.DATAVERSE_URL, 'DATAVERSE_URL'),
      credential: {
        accessToken: s.DATAVERSE_ACCESS_TOKEN,
        tenantId: s.DATAVERSE_TENANT_ID,
        clientId: s.DATAVERSE_CLIENT_ID,
        clientSecret: s.DATAVERSE_CLIENT_SECRET,
        certificatePath: s.DATAVERSE_CLIENT_CERTIFICATE_PATH,
        federatedTokenFile: s.DATAVERSE_FEDERATED_TOKEN_FILE,
        authorityHost: s.DATAVERSE_AUTHORITY_HOST,
      },
      maxConcurrency: s.DATAVERSE_MAX_CONCURRENCY,
      pageSize: s.DATAVERSE_PAGE_SIZE,
    },
    storage: hostStorage(s),
    databaseStorage: databaseStorage(s),
    app: appOf(s.WEBSITE_SITE_NAME ?? s.SYNC_WORK_CONTAINER, environment),
    environment,
    queuePrefix: s.SYNC_QUEUE_PREFIX,
    containers: { work: s.SYNC_WORK_CONTAINER, database: s.SYNC_DATABASE_CONTAINER },
    databaseName: s.SYNC_DATABASE_NAME,
    postgres: postgresSettings(s),
    landingZone: s.FABRIC_LANDING_ZONE,
    entitiesFile: resolve(root, s.SYNC_ENTITIES_FILE),
    sync: {
      sliceSeconds: s.SYNC_SLICE_SECONDS,
      sliceBytes: Math.round(s.SYNC_SLICE_MB * megabyte),
      staleAfterSeconds: s.SYNC_STALE_AFTER,
      changesDelaySeconds: s.SYNC_CHANGES_DELAY,
      changesIntervalSeconds: s.SYNC_CHANGES_INTERVAL,
      maxWaitSeconds: s.SYNC_MAX_WAIT,
      overlapSeconds: s.SYNC_OVERLAP_SECONDS,
      reconcileEvery: s.SYNC_RECONCILE_EVERY,
      verifyHours: s.SYNC_VERIFY_HOURS,
      checkHours: s.SYNC_CHECK_HOURS,
      massDeleteLimit: s.SYNC_MASS_DELETE_LIMIT,
      decimals: s.SYNC_DECIMALS,
      // A database of PostgreSQL has no limit that a file has.
      databaseMaxBytes:
        s.SYNC_TARGET === 'sqlite' ? Math.round(s.SYNC_DATABASE_MAX_MB * megabyte) : Number.MAX_SAFE_INTEGER,
      keepVersions: s.SYNC_KEEP_VERSIONS,
      keepRuns: s.SYNC_KEEP_RUNS,
      cacheBytes: Math.round(s.SYNC_CACHE_MB * megabyte),
      shardBytes: Math.floor(shardBytes / Number(env[sharersKey] ?? 1)),
    },
  };
}

/** Environments of one app are as apart as apps are. */
function appOf(name: string, environment: string | undefined): string {
  return environment === undefined ? name : `${name}/${environment}`;
}

/** The faults that concern more than the form of one setting. */
function checkTogether(given: Record<string, string | undefined>): string[] {
  const faults: string[] = [];
  if (given['DATAVERSE_URL'] !== undefined) {
    try {
      environmentOrigin(given['DATAVERSE_URL'].trim(), 'DATAVERSE_URL');
    } catch (error) {
      if (!(error instanceof ConfigurationError)) throw error;
      faults.push(error.message.replace(/\.$/, ''));
    }
  }
  faults.push(...storageFaults(given), ...postgresFaults(given));
  const name = given['SYNC_DATABASE_NAME']?.trim() ?? '';
  if (isReservedBlob(name)) {
    faults.push(`SYNC_DATABASE_NAME: ${name} is the name of another blob of the sync`);
  }
  const { SYNC_WORK_CONTAINER: work = 'sync-work', SYNC_DATABASE_CONTAINER: database = 'dataverse' } = given;
  if (work === database) {
    faults.push(
      'SYNC_WORK_CONTAINER and SYNC_DATABASE_CONTAINER must be two containers: readers use the second one',
    );
  }
  return faults;
}

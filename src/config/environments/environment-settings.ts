import { availableMemory, cacheMegabytesFor } from '../available-memory.ts';
import { defaultQueuePrefix } from '../queue-names.ts';
import { environmentKey, sharersKey } from '../settings.ts';
import type { AppSettings } from './environment.ts';
import type { ConfiguredEnvironment } from './environments-file.ts';

/** What belongs to one Dataverse: sent to another, a token would be in the wrong hands, and rows in the wrong lake. */
const neverInherited = ['DATAVERSE_URL', 'DATAVERSE_ACCESS_TOKEN', 'FABRIC_LANDING_ZONE'];

/**
 * Settings that only make sense together. An environment that has one of `first` inherits none of `rest`: half of one
 * sign-in and half of another would be neither.
 */
const groups: readonly { first: readonly string[]; rest: RegExp }[] = [
  {
    first: [
      ...[
        'DATAVERSE_TENANT_ID',
        'DATAVERSE_CLIENT_ID',
        'DATAVERSE_CLIENT_SECRET',
        'DATAVERSE_AUTHORITY_HOST',
      ],
      ...['DATAVERSE_CLIENT_CERTIFICATE_PATH', 'DATAVERSE_FEDERATED_TOKEN_FILE'],
    ],
    rest: /^DATAVERSE_(?:TENANT_ID|CLIENT_|FEDERATED_TOKEN_FILE|AUTHORITY_HOST)/,
  },
  {
    first: [
      ...['SYNC_DATABASE_STORAGE', 'SYNC_DATABASE_STORAGE__accountName'],
      ...['SYNC_DATABASE_STORAGE__blobServiceUri', 'SYNC_DATABASE_STORAGE__clientId'],
    ],
    rest: /^SYNC_DATABASE_STORAGE/,
  },
  { first: ['SYNC_TARGET', 'POSTGRES_URL', 'POSTGRES_HOST'], rest: /^POSTGRES_(?!CLIENT_ID|SCHEMA)/ },
  // Another database, or another user, of the same server. A connection string names them.
  { first: ['POSTGRES_DATABASE', 'POSTGRES_USER'], rest: /^POSTGRES_(?:READER_)?URL$/ },
];

/** The places of an environment that names none: those of the app, with its name at the end. */
export function placesWithName(name: string, app: AppSettings) {
  const of = (setting: string, fallback: string) => app[setting]?.trim() || fallback;
  return {
    SYNC_QUEUE_PREFIX: `${of('SYNC_QUEUE_PREFIX', defaultQueuePrefix)}-${name}`,
    SYNC_WORK_CONTAINER: `${of('SYNC_WORK_CONTAINER', 'sync-work')}-${name}`,
    SYNC_DATABASE_CONTAINER: `${of('SYNC_DATABASE_CONTAINER', 'dataverse')}-${name}`,
    POSTGRES_SCHEMA: `${of('POSTGRES_SCHEMA', 'dataverse')}_${name.replaceAll('-', '_')}`,
  };
}

/**
 * The app settings as they are for an environment: those of the app, its own instead of them, and places of its own.
 */
export function settingsOf({ name, own }: ConfiguredEnvironment, app: AppSettings): AppSettings {
  const left = groups.filter(({ first }) => first.some((setting) => own[setting] !== undefined));
  const inherited = Object.entries(app).filter(
    ([setting]) => !neverInherited.includes(setting) && !left.some(({ rest }) => rest.test(setting)),
  );
  return {
    ...Object.fromEntries(inherited),
    ...placesWithName(name, app),
    ...own,
    [environmentKey]: name,
  };
}

/** The same settings where `count` environments share the memory of a process. What is set by hand stays. */
export function withSharedMemory(settings: AppSettings, count: number): AppSettings {
  if (count === 1) return settings;
  const shared = { ...settings, [sharersKey]: String(count) };
  const isAuto = ['', 'auto'].includes(settings['SYNC_CACHE_MB']?.trim() ?? '');
  if (!isAuto) return shared;
  return { ...shared, SYNC_CACHE_MB: String(cacheMegabytesFor(availableMemory() / count)) };
}

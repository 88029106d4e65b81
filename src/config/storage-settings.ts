import * as z from 'zod';

/** How to reach a storage account: a connection string, or the addresses of its services and an identity. */
export interface StorageSettings {
  /** Connection string of the storage account or the emulator; undefined if an identity is used. */
  connectionString?: string;
  blobServiceUri?: string;
  /** Undefined where only blobs are used. */
  queueServiceUri?: string;
  /** Of a user-assigned identity. */
  clientId?: string;
  /** The app setting, or the beginning of the settings, that say this. For messages. */
  setting: string;
}

const text = z.string().trim().min(1).optional();

/** The app settings of both accounts. */
export const storageAppSettings = {
  AzureWebJobsStorage: text,
  AzureWebJobsStorage__blobServiceUri: text,
  AzureWebJobsStorage__queueServiceUri: text,
  AzureWebJobsStorage__accountName: text,
  AzureWebJobsStorage__clientId: text,
  SYNC_DATABASE_STORAGE: text,
  SYNC_DATABASE_STORAGE__blobServiceUri: text,
  SYNC_DATABASE_STORAGE__accountName: text,
  SYNC_DATABASE_STORAGE__clientId: text,
};

type Given = Readonly<Record<string, string | undefined>>;
type StorageAppSettings = { readonly [Name in keyof typeof storageAppSettings]?: string | undefined };

const host = 'AzureWebJobsStorage';
const database = 'SYNC_DATABASE_STORAGE';

/** The account of the functions host: queues, runs in progress, the journal of campaign metrics. */
export function hostStorage(given: StorageAppSettings): StorageSettings {
  return accountOf(given, host);
}

/**
 * The account with the container that readers use: the one that `SYNC_DATABASE_STORAGE` names, or else the host's. Without
 * an identity of its own it is reached with that of the host's account.
 */
export function databaseStorage(given: StorageAppSettings): StorageSettings {
  if (!isNamed(given, database)) return hostStorage(given);
  const clientId = given[`${database}__clientId`] ?? given[`${host}__clientId`];
  return { ...accountOf(given, database), clientId };
}

function accountOf(given: Given, setting: string): StorageSettings {
  const account = given[`${setting}__accountName`];
  const addressOf = (service: string) =>
    given[`${setting}__${service}ServiceUri`] ??
    (account && `https://${account}.${service}.core.windows.net`);
  return {
    connectionString: given[setting],
    blobServiceUri: addressOf('blob'),
    queueServiceUri: addressOf('queue'),
    clientId: given[`${setting}__clientId`],
    setting,
  };
}

function isNamed(given: Given, setting: string): boolean {
  return ['', '__accountName', '__blobServiceUri'].some((name) => given[`${setting}${name}`] !== undefined);
}

/** What is wrong with the settings of the accounts. The messages quote no part of a connection string. */
export function storageFaults(given: Given): string[] {
  const faults: string[] = [];
  const { blobServiceUri, queueServiceUri, connectionString } = hostStorage(given);
  if (connectionString === undefined && (blobServiceUri === undefined || queueServiceUri === undefined)) {
    faults.push(
      'No storage account is configured: set AzureWebJobsStorage to a connection string (locally UseDevelopmentStorage=true), or AzureWebJobsStorage__blobServiceUri and __queueServiceUri for a managed identity',
    );
  }
  if (given[`${database}__clientId`] !== undefined && !isNamed(given, database)) {
    faults.push(`${database}__clientId: set ${database}__accountName or ${database}__blobServiceUri too`);
  }
  for (const setting of [host, database]) {
    const text = given[setting];
    if (text !== undefined && !isConnectionString(text)) {
      faults.push(
        `${setting} is not a connection string: it needs AccountName and AccountKey, or BlobEndpoint and SharedAccessSignature`,
      );
    }
    for (const service of ['blob', 'queue']) {
      const name = `${setting}__${service}ServiceUri`;
      const protocol = URL.parse(given[name] ?? 'https://unset')?.protocol;
      if (protocol !== 'https:' && protocol !== 'http:') faults.push(`${name} is not a URL`);
    }
  }
  return faults;
}

/** learn.microsoft.com: Configure Azure Storage connection strings. */
function isConnectionString(text: string): boolean {
  const parts = new Map(
    text.split(';').map((part) => {
      const at = part.indexOf('=');
      return [part.slice(0, at).trim().toLowerCase(), part.slice(at + 1).trim()] as const;
    }),
  );
  const has = (...names: string[]) => names.every((name) => parts.get(name));
  return (
    has('usedevelopmentstorage') ||
    has('accountname', 'accountkey') ||
    has('blobendpoint', 'sharedaccesssignature')
  );
}

/** Blobs that the sync itself writes beside the databases; of some, there is one for each named database. */
const reserved =
  /^(?:state\.json|(?:last-check|checked-figures)(?:-.*)?\.json|database-check\.json|schema-report\.(?:json|md)|(?:files|state-tables|history)\/.*)$/;

/** Whether a database file cannot have this name. */
export function isReservedBlob(name: string): boolean {
  return reserved.test(name);
}

/** Where a landing zone is, as the Blob API names it. */
export interface LandingZoneAddress {
  /** `https://onelake.blob.fabric.microsoft.com`, or with the account of an emulator; undefined for the account of the database. */
  blobServiceUri?: string;
  container: string;
  /** The folder in the container, without slashes at its ends; empty for the container itself. */
  folder: string;
}

/** Hosts whose first part of the path is the account. */
const isPathStyle = (host: string): boolean =>
  host === 'localhost' || /^[\d.]+$/.test(host) || host.startsWith('[');

/**
 * Reads the address of a landing zone: that which Fabric shows, `https://onelake.dfs.fabric.microsoft.com/<workspace>/<mirrored
 * database>/Files/LandingZone`; a folder of a storage account, `https://<account>.blob.core.windows.net/<container>/<folder>`; or
 * `<container>/<folder>` alone, in the account of the database. Addresses of the Data Lake API become those of the Blob API,
 * which names the same files.
 * @returns undefined if it is none of these
 */
export function landingZoneAddress(text: string): LandingZoneAddress | undefined {
  if (/^[a-z0-9][a-z0-9-]{1,61}[a-z0-9](?:\/[^/?#\\]+)*\/?$/.test(text)) {
    const [container, ...folders] = text.split('/').filter((part) => part !== '');
    if (!folders.every(isFolderName)) return undefined;
    return { container: container!, folder: folders.join('/') };
  }
  const url = URL.parse(text);
  if (url === null || [url.username, url.password, url.search, url.hash].some((part) => part !== ''))
    return undefined;
  const isLocal = isPathStyle(url.hostname);
  if (url.protocol !== 'https:' && !(isLocal && url.protocol === 'http:')) return undefined;
  const parts = decodedParts(url.pathname);
  const account = isLocal ? parts.shift() : undefined;
  const [container, ...folders] = parts;
  if (container === undefined || !parts.every(isFolderName)) return undefined;
  // An address of a page in a portal is no storage.
  if (!isLocal && !/\.(?:blob|dfs)\./.test(url.hostname)) return undefined;
  // A workspace has items, and only an item has a landing zone.
  if (/\.fabric\.microsoft\.com$/.test(url.hostname) && folders.length < 3) return undefined;
  const host = url.host.replace('.dfs.', '.blob.');
  const blobServiceUri = `${url.protocol}//${host}${account === undefined ? '' : `/${account}`}`;
  return { blobServiceUri, container, folder: folders.join('/') };
}

/** What is encoded can be a path or a signature. */
function isFolderName(part: string): boolean {
  return part !== '.' && part !== '..' && !/[/\\?#]/.test(part);
}

/** The parts of a path; none if they are not encoded as addresses are. */
function decodedParts(path: string): string[] {
  try {
    return path
      .split('/')
      .filter((part) => part !== '')
      .map(decodeURIComponent);
  } catch {
    return [];
  }
}

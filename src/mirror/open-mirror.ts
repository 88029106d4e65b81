import { ConfigurationError } from '../errors.ts';
import { rememberSecret } from '../safe-text.ts';
import { Mirror, type MirrorOptions } from './mirror.ts';
import { HttpSource } from './sources/http-source.ts';
import { LocalSource } from './sources/local-source.ts';
import type { MirrorSource } from './sources/mirror-source.ts';

/** Gets tokens. Every credential of `@azure/identity` is one. */
export interface StorageCredential {
  getToken(scopes: string | string[]): Promise<{ token: string } | null>;
}

export interface OpenMirrorOptions extends MirrorOptions {
  /** The function key, for the address of `GET /api/database`. */
  functionKey?: string;
  /** Signs in to Blob storage, for the address of the blob without a SAS token. */
  credential?: StorageCredential;
}

/** learn.microsoft.com: Versioning for Azure Storage. Sign-in with Entra needs 2017-11-09 or later. */
const storageVersion = '2023-11-03';

/**
 * Opens a mirror to read it. Of a mirror behind an address only the parts that a query needs are transferred.
 * @param from the path of a SQLite file; or the address of `GET /api/database`, or of the blob, with a SAS token or a credential
 * @throws ConfigurationError if there is none, or access is denied
 * @example
 * const mirror = await openMirror('https://contoso.azurewebsites.net/api/database', { functionKey });
 * const [{ n }] = await mirror.query<{ n: number }>('SELECT count(*) AS n FROM accounts');
 */
export async function openMirror(from: string | URL, options: OpenMirrorOptions = {}): Promise<Mirror> {
  const source = sourceOf(from, options);
  return new Mirror(source, await source.open(), options);
}

/** Whether an address is one of Blob storage, in any cloud (learn.microsoft.com: Storage account endpoints). */
export function isBlobAddress(from: string | URL): boolean {
  const { hostname } = URL.canParse(String(from)) ? new URL(from) : { hostname: '' };
  return /^[a-z0-9-]+\.(?:z\d\d\.)?blob\.(?:core\.(?:windows\.net|chinacloudapi\.cn|usgovcloudapi\.net)|storage\.azure\.net)$/.test(
    hostname,
  );
}

function sourceOf(from: string | URL, { functionKey, credential }: OpenMirrorOptions): MirrorSource {
  const isAddress = from instanceof URL || /^https?:\/\//i.test(from);
  if (!isAddress) return new LocalSource(from);
  if (!URL.canParse(String(from))) {
    throw new ConfigurationError(`${String(from).split('?')[0]} is not an address.`, {
      operation: 'open the mirror',
      hint: 'Write it as https://contoso.azurewebsites.net/api/database.',
    });
  }
  if (credential !== undefined && functionKey === undefined && !isBlobAddress(from)) {
    const { origin, pathname } = new URL(from);
    throw new ConfigurationError(`${origin}${pathname} is not in Blob storage: no token is sent to it.`, {
      operation: 'open the mirror',
      hint: 'Give the address of the blob, https://ACCOUNT.blob.core.windows.net/…, or the function key of the app.',
    });
  }
  rememberSecret(functionKey);
  const headers = async (): Promise<Record<string, string>> => {
    if (functionKey !== undefined) return { 'x-functions-key': functionKey };
    if (credential === undefined) return {};
    // It keeps the token until it expires.
    const token = await credential.getToken('https://storage.azure.com/.default');
    return { authorization: `Bearer ${token?.token}`, 'x-ms-version': storageVersion };
  };
  return new HttpSource(new URL(from), { headers });
}

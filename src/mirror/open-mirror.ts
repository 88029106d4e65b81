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

function sourceOf(from: string | URL, { functionKey, credential }: OpenMirrorOptions): MirrorSource {
  const isAddress = from instanceof URL || /^https?:\/\//i.test(from);
  if (!isAddress) return new LocalSource(from);
  const headers = async (): Promise<Record<string, string>> => {
    if (functionKey !== undefined) return { 'x-functions-key': functionKey };
    if (credential === undefined) return {};
    // It keeps the token until it expires.
    const token = await credential.getToken('https://storage.azure.com/.default');
    return { authorization: `Bearer ${token?.token}`, 'x-ms-version': storageVersion };
  };
  return new HttpSource(new URL(from), { headers });
}

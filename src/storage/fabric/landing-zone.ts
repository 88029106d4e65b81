import type { ContainerClient } from '@azure/storage-blob';
import { ConfigurationError, ConflictError, RetriableError, SyncError } from '../../errors.ts';
import { inContainer, statusOf, storageError } from '../errors.ts';

/** What is in the folder of a table. */
export interface Folder {
  /** The greatest number of a file, also of one that Fabric has read and put aside; 0 without any. */
  lastNumber: number;
  /** Whether the folder says what the key is. Without it, somebody has deleted the folder. */
  isDescribed: boolean;
}

/** The names of data files: 20 digits. */
const fileName = (number: number): string => `${String(number).padStart(20, '0')}.parquet`;
const fileNumber = /(?:^|\/)(\d{20})\.parquet$/;
const metadataName = '_metadata.json';
const partnerName = '_partnerEvents.json';

/** An upload that takes longer is given up: its process may not be the one that exports any more. */
const uploadMilliseconds = 240_000;

/**
 * The landing zone of an open mirrored database in Microsoft Fabric (learn.microsoft.com: Open mirroring landing zone
 * requirements and format), by way of the Blob API, which OneLake has, too. A blob appears with all of its content, so files
 * need no temporary names. None is written over: Fabric may have read it.
 */
export class LandingZone {
  readonly #container: ContainerClient;
  readonly #root: string;

  /** @param root the folder in the container; empty for the container itself */
  constructor(container: ContainerClient, root: string) {
    this.#container = container;
    this.#root = root === '' ? '' : `${root}/`;
  }

  /** Its address, for messages and to tell it from another one. Without a signature, which is a secret. */
  get address(): string {
    const { origin, pathname } = new URL(this.#container.url);
    return `${origin}${pathname}/${this.#root}`.replace(/\/$/, '');
  }

  /** Says once where the tables come from. Fabric shows it to Microsoft's support. */
  async introduce(): Promise<void> {
    const events = { partnerName: 'dataverse-sqlite-sync', sourceInfo: { sourceType: 'Dataverse' } };
    try {
      await this.#create(`${this.#root}${partnerName}`, Buffer.from(JSON.stringify(events)));
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error;
    }
  }

  async look(folder: string): Promise<Folder> {
    const prefix = this.#pathOf(folder);
    const found: Folder = { lastNumber: 0, isDescribed: false };
    for await (const name of this.#list(prefix)) {
      if (name === `${prefix}${metadataName}`) found.isDescribed = true;
      const number = Number(fileNumber.exec(name)?.[1] ?? 0);
      found.lastNumber = Math.max(found.lastNumber, number);
    }
    return found;
  }

  /**
   * Deletes the folder of a table with all that is in it: Fabric drops the table, or reads it again from the next folder.
   * @param beforeDelete is called before each file, and throws if that may be another process's by now
   */
  async clear(folder: string, beforeDelete: () => Promise<void> = async () => undefined): Promise<void> {
    const prefix = this.#pathOf(folder);
    const names: string[] = [];
    for await (const name of this.#list(prefix)) names.push(name);
    // Where folders are things of their own, they have to be empty first.
    for (const name of [...names.sort().reverse(), prefix.slice(0, -1)]) {
      await beforeDelete();
      await this.#delete(name);
    }
  }

  /**
   * Says what the key of the table is. Call it before the first file is written.
   * @throws ConflictError if the folder says so already: another process has begun with the table
   */
  async describe(folder: string, key: string): Promise<void> {
    const name = `${this.#pathOf(folder)}${metadataName}`;
    const body = Buffer.from(JSON.stringify({ keyColumns: [key] }));
    await this.#create(name, body);
  }

  /** Writes a data file. @throws ConflictError if there is one with this number */
  async writeFile(folder: string, number: number, bytes: Uint8Array): Promise<void> {
    await this.#create(`${this.#pathOf(folder)}${fileName(number)}`, bytes);
  }

  #pathOf(folder: string): string {
    return `${this.#root}${folder}/`;
  }

  async *#list(prefix: string): AsyncGenerator<string> {
    try {
      for await (const { name } of this.#container.listBlobsFlat({ prefix })) yield name;
    } catch (error) {
      if (statusOf(error) !== 404) throw lakeError(error, 'list', prefix);
    }
  }

  async #delete(name: string): Promise<void> {
    try {
      await this.#container.deleteBlob(name, { abortSignal: AbortSignal.timeout(uploadMilliseconds) });
    } catch (error) {
      if (statusOf(error) !== 404) throw lakeError(error, 'delete', name);
    }
  }

  async #create(name: string, bytes: Uint8Array): Promise<void> {
    const options = {
      conditions: { ifNoneMatch: '*' },
      abortSignal: AbortSignal.timeout(uploadMilliseconds),
    };
    const body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    await this.#write(name, () =>
      this.#container.getBlockBlobClient(name).upload(body, body.length, options),
    );
  }

  async #write(name: string, work: () => Promise<unknown>): Promise<void> {
    try {
      await inContainer(this.#container, work);
    } catch (error) {
      throw lakeError(error, 'write', name);
    }
  }
}

/** A failure of the landing zone, with a hint about that rather than about the app's own storage account. */
function lakeError(error: unknown, operation: string, object: string): unknown {
  const mapped = storageError(error, operation, object);
  if (!(mapped instanceof SyncError) || mapped instanceof ConflictError) return mapped;
  const { message, cause } = mapped;
  const details = { operation, object, cause };
  const status = statusOf(error);
  if (status === 409) {
    return new RetriableError(message, {
      ...details,
      hint: 'Fabric is reading the folder. The next export tries again.',
    });
  }
  if (status === 401 || status === 403) {
    return new ConfigurationError(message, {
      ...details,
      hint: 'Give the identity of the app the role Contributor in the Fabric workspace, or Storage Blob Data Contributor on the storage account, and let the tenant setting for service principals include it. See docs/fabric.md.',
    });
  }
  const hint =
    'Check FABRIC_LANDING_ZONE, that the mirrored database exists, and that its Fabric capacity runs.';
  if (mapped instanceof RetriableError) return new RetriableError(message, { ...details, hint });
  return mapped instanceof ConfigurationError ? mapped : new SyncError(message, { ...details, hint });
}

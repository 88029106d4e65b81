import { type ContainerClient, RestError } from '@azure/storage-blob';
import type { CampaignMetrics } from '../contract/contract.ts';

/** A record that Dataverse refused for good, laid aside until somebody has mended the cause. */
export interface PoisonRecord {
  id: string;
  /** Its place in the journal: the last part of its status address. */
  ticket: string;
  acceptedAt: string;
  refusedAt: string;
  /** What Dataverse said. */
  error: string;
  code?: string | undefined;
  status?: number | undefined;
  requestId?: string | undefined;
  record: CampaignMetrics;
}

/** What to do about a poison record, for status and log. */
export const replayHint =
  'Mend the cause that Dataverse names, then run `npm run metrics:replay`. A newer value of the same record, once written, removes it too.';

/**
 * The poison records, a blob each, at most one per row: the last value that was refused. Only the holder of
 * the journal's lease writes or removes them, so they and the order of writes never contradict.
 */
export class PoisonRecords {
  readonly #container: ContainerClient;
  readonly #folder: string;

  constructor(container: ContainerClient, folder = 'metrics/poison') {
    this.#container = container;
    this.#folder = folder;
  }

  async put(record: PoisonRecord): Promise<void> {
    const text = JSON.stringify(record);
    await this.#blob(record.id).upload(text, Buffer.byteLength(text), {
      blobHTTPHeaders: { blobContentType: 'application/json' },
    });
  }

  async get(id: string): Promise<PoisonRecord | undefined> {
    try {
      return JSON.parse((await this.#blob(id).downloadToBuffer()).toString('utf8')) as PoisonRecord;
    } catch (error) {
      if (error instanceof RestError && error.statusCode === 404) return undefined;
      throw error;
    }
  }

  async remove(id: string): Promise<void> {
    await this.#blob(id).deleteIfExists();
  }

  /** The row ids that have one. */
  async ids(): Promise<Set<string>> {
    const ids = new Set<string>();
    try {
      for await (const blob of this.#container.listBlobsFlat({ prefix: `${this.#folder}/` })) {
        ids.add(blob.name.slice(this.#folder.length + 1, -'.json'.length));
      }
    } catch (error) {
      if (!(error instanceof RestError) || error.statusCode !== 404) throw error;
    }
    return ids;
  }

  #blob(id: string) {
    return this.#container.getBlockBlobClient(`${this.#folder}/${id}.json`);
  }
}

import { DamagedDocumentError } from '../../storage/document-store.ts';
import type { WorkStore } from '../../storage/work-store.ts';
import type { CampaignMetrics } from '../contract/campaign-metrics-fields.ts';

/**
 * A record that Dataverse rejected permanently. It stays below `metrics/poison/` in the work container until someone
 * fixes the cause and replays it.
 */
export interface PoisonRecord {
  id: string;
  /** Its position in the journal: the last part of its status address. */
  ticket: string;
  acceptedAt: string;
  refusedAt: string;
  /** Dataverse's message. */
  error: string;
  code?: string;
  status?: number;
  requestId?: string;
  record: CampaignMetrics;
}

/** What to do about a poison record, for its status and the log. */
export const replayHint =
  'Fix the cause that Dataverse names, then run `npm run metrics:replay`. A newer value of the same record, once written, also removes it.';

const folder = 'metrics/poison';
const path = (id: string) => `${folder}/${id}.json`;
/** The id of a row, which its record is named after. A blob with a name of another form is not of this app. */
const ownName = /^metrics\/poison\/([\w-]{1,64})\.json$/;

/**
 * The poison records, one blob each and at most one per row: its newest rejected value. Only the holder of the
 * journal's lease writes and deletes them, so they always match the order of the writes.
 */
export class PoisonRecords {
  readonly #store: WorkStore;

  constructor(store: WorkStore) {
    this.#store = store;
  }

  put(record: PoisonRecord): Promise<void> {
    return this.#store.put(path(record.id), record);
  }

  /** @returns undefined if there is none, or another program has damaged it: that must not stop all other records */
  async get(id: string): Promise<PoisonRecord | undefined> {
    try {
      const stored = (await this.#store.read<PoisonRecord | null>(path(id)))?.value;
      const isRecord = typeof stored?.record === 'object' && typeof stored.ticket === 'string';
      return isRecord && stored.record !== null ? stored : undefined;
    } catch (error) {
      if (error instanceof DamagedDocumentError) return undefined;
      throw error;
    }
  }

  async remove(id: string): Promise<void> {
    await this.#store.deletePrefix(path(id));
  }

  /** The ids of the rows that have a poison record. */
  async ids(): Promise<Set<string>> {
    const ids = new Set<string>();
    for await (const { name } of this.#store.list(`${folder}/`)) {
      const id = ownName.exec(name)?.[1];
      if (id !== undefined) ids.add(id);
    }
    return ids;
  }
}

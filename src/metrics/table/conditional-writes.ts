import type { MetricsSettings } from '../../config/metrics-settings.ts';
import { dataverseFault, isMissingRow } from '../../dataverse/errors/errors.ts';
import { codes } from '../../dataverse/errors/fault-codes.ts';
import type { Transport } from '../../dataverse/transport/transport.ts';
import { type BatchReply, type BatchRequest, batch } from '../../dataverse/write/batch.ts';
import { createMultiple } from '../../dataverse/write/create-multiple.ts';
import { upsert } from '../../dataverse/write/write-row.ts';
import { ConflictError, RetriableError } from '../../errors.ts';
import { type CampaignMetricsColumns, type MetricsRow, toRowValues } from './campaign-metrics-columns.ts';
import { setupErrorOf } from './metrics-transport.ts';
import { consequenceOf } from './write-consequence.ts';

/** A row and the version that the write replaces; without a version, the write creates the row. */
export interface VersionedRow {
  row: MetricsRow;
  version: string | undefined;
}

/**
 * What became of a row.
 * - `conflict`: not written, because the row has another version by now
 * - `other id`: not written, because a row with another id has this campaign, run and phase
 */
export type WriteOutcome = { created: boolean } | { refused: Error } | 'conflict' | 'other id';

/**
 * Requests in one `$batch`. Dataverse executes them one after the other, so several smaller batches at the same time are
 * faster. learn.microsoft.com: Send parallel requests.
 */
const batchSize = 100;

/**
 * Writes many rows under a condition each: create, or replace one version. So it does not matter when Dataverse executes
 * a request that was given up: a row that was written since has another version, and the request fails for it.
 * `UpsertMultiple` has no conditions; learn.microsoft.com: Optimistic concurrency.
 */
export class ConditionalWrites {
  readonly #transport: Transport;
  readonly #settings: MetricsSettings;
  readonly #columns: CampaignMetricsColumns;

  constructor(transport: Transport, settings: MetricsSettings, columns: CampaignMetricsColumns) {
    this.#transport = transport;
    this.#settings = settings;
    this.#columns = columns;
  }

  /**
   * Creates rows with few requests. Each request creates all of its rows or none. Ends at the first that does not, and
   * returns how many rows were created.
   * @throws for a fault that no row caused
   */
  async createTogether(rows: readonly MetricsRow[], maxRows: number, signal: AbortSignal): Promise<number> {
    const { entitySet, table: logicalName } = this.#settings;
    const values = rows.map(({ id, record }) => ({
      [this.#columns.id]: id,
      ...toRowValues(record, this.#columns),
    }));
    for (let start = 0; start < values.length; start += maxRows) {
      try {
        const some = values.slice(start, start + maxRows);
        await createMultiple(this.#transport, { entitySet, logicalName }, some, { signal });
      } catch (error) {
        const isOfRows = error instanceof ConflictError || isUnsupported(error);
        if (isOfRows || consequenceOf(error) === 'refused') return start;
        throw error;
      }
    }
    return rows.length;
  }

  /** Writes each row alone, in batches. @throws for a fault that no row caused */
  async writeEach(rows: readonly VersionedRow[], signal: AbortSignal): Promise<WriteOutcome[]> {
    const starts = Array.from({ length: Math.ceil(rows.length / batchSize) }, (_, n) => n * batchSize);
    const parts = starts.map((start) => this.#writeBatch(rows.slice(start, start + batchSize), signal));
    return (await allDone(parts)).flat();
  }

  async #writeBatch(rows: readonly VersionedRow[], signal: AbortSignal): Promise<WriteOutcome[]> {
    const requests = rows.map((row) => this.#requestOf(row));
    try {
      const replies = await batch(this.#transport, requests, { signal, continueOnError: true });
      return rows.map((row, index) => outcomeOf(row, replies[index] as BatchReply | undefined));
    } catch (error) {
      if (!isUnsupported(error)) throw error;
      // A gateway that does not let batches through.
      return allDone(rows.map((row) => this.#writeOne(row, signal)));
    }
  }

  #requestOf({ row, version }: VersionedRow): BatchRequest {
    return {
      method: 'PATCH',
      path: `${this.#settings.entitySet}(${row.id})`,
      headers: version === undefined ? { 'If-None-Match': '*' } : { 'If-Match': version },
      body: toRowValues(row.record, this.#columns),
    };
  }

  async #writeOne(versioned: VersionedRow, signal: AbortSignal): Promise<WriteOutcome> {
    const { row, version } = versioned;
    const condition = version === undefined ? { mode: 'create' as const } : { etag: version };
    try {
      const values = toRowValues(row.record, this.#columns);
      await upsert(this.#transport, this.#settings.entitySet, row.id, values, { ...condition, signal });
      return { created: version === undefined };
    } catch (error) {
      return outcomeOfError(versioned, error);
    }
  }
}

function outcomeOf(versioned: VersionedRow, reply: BatchReply | undefined): WriteOutcome {
  if (reply === undefined) {
    throw new RetriableError('Dataverse did not answer all requests of a batch.', {
      operation: 'write campaign metrics',
    });
  }
  if (reply.error === undefined) return { created: versioned.version === undefined };
  return outcomeOfError(versioned, setupErrorOf(reply.error, reply.names) ?? reply.error);
}

/** @throws the error itself if the row did not cause it */
function outcomeOfError({ version }: VersionedRow, error: unknown): WriteOutcome {
  if (error instanceof ConflictError || isMissingRow(error)) {
    const isOtherRow = version === undefined && dataverseFault(error)?.code === codes.duplicateKey;
    return isOtherRow ? 'other id' : 'conflict';
  }
  if (consequenceOf(error) === 'refused') return { refused: error as Error };
  throw error;
}

/** Whether the environment does not support the request as such, wherever the error has the response. */
function isUnsupported(error: unknown): boolean {
  const fault = dataverseFault(error) ?? dataverseFault((error as Error).cause);
  return [404, 405, 501].includes(fault?.status ?? 0) && !isMissingRow(error);
}

/** Like `Promise.all`, but no work is still in progress when it throws. */
export async function allDone<T extends readonly Promise<unknown>[]>(work: T) {
  await Promise.allSettled(work);
  return Promise.all(work);
}

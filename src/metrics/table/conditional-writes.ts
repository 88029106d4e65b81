import type { MetricsSettings } from '../../config/metrics-settings.ts';
import { dataverseFault, isMissingRow } from '../../dataverse/errors/errors.ts';
import { codes } from '../../dataverse/errors/fault-codes.ts';
import type { Transport } from '../../dataverse/transport/transport.ts';
import { type BatchReply, type BatchRequest, batch } from '../../dataverse/write/batch.ts';
import { createMultiple } from '../../dataverse/write/create-multiple.ts';
import { upsert } from '../../dataverse/write/write-row.ts';
import { ConflictError, RetriableError } from '../../errors.ts';
import { partsOf } from './bulk-limits.ts';
import { type CampaignMetricsColumns, type MetricsRow, toRowValues } from './campaign-metrics-columns.ts';
import { setupErrorOf } from './metrics-transport.ts';
import { consequenceOf } from './write-consequence.ts';

/** A row and the version that the write replaces; without a version, the write creates the row. */
export interface VersionedRow {
  /** The row under the id that its key gives. */
  row: MetricsRow;
  /** The same under its id in Dataverse, which can be another one. */
  target: MetricsRow;
  version: string | undefined;
}

/**
 * What became of a row.
 * - `unknown`: Dataverse may have written it or not, or may still do so; the error says why
 * - `conflict`: not written, because the row has another version by now
 * - `other id`: not written, because a row with another id has this campaign, run and phase
 */
export type WriteOutcome =
  | { created: boolean }
  | { refused: Error }
  | { unknown: Error }
  | 'conflict'
  | 'other id';

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
   * Creates rows with few requests. Each request creates all of its rows or none. If it does not, because of one of them,
   * they are a `conflict`, and each has to be written alone. The requests run at the same time: one without an answer must
   * not hold up the others.
   * @param sizeOf how many rows the request may have that creates this one
   */
  async createTogether(
    rows: readonly MetricsRow[],
    sizeOf: (row: MetricsRow) => number,
    signal: AbortSignal,
  ): Promise<WriteOutcome[]> {
    const parts = partsOf(rows, sizeOf).map(async (part) => {
      const outcome = await this.#create(part, signal);
      return part.map(() => outcome);
    });
    return (await allDone(parts)).flat();
  }

  async #create(rows: readonly MetricsRow[], signal: AbortSignal): Promise<WriteOutcome> {
    const { entitySet, table: logicalName } = this.#settings;
    const values = rows.map(({ id, record }) => ({
      [this.#columns.id]: id,
      ...toRowValues(record, this.#columns),
    }));
    try {
      await createMultiple(this.#transport, { entitySet, logicalName }, values, { signal });
      return { created: true };
    } catch (error) {
      const isOfRows = error instanceof ConflictError || isUnsupported(error);
      return isOfRows || consequenceOf(error) === 'refused' ? 'conflict' : { unknown: error as Error };
    }
  }

  /**
   * Writes each row alone, in batches. A batch without an answer leaves only its own rows unknown.
   * @param sizeOf how many rows the batch may have that writes this one
   */
  async writeEach(
    rows: readonly VersionedRow[],
    sizeOf: (row: MetricsRow) => number,
    signal: AbortSignal,
  ): Promise<WriteOutcome[]> {
    const parts = partsOf(rows, ({ row }) => sizeOf(row));
    return (await allDone(parts.map((part) => this.#writeBatch(part, signal)))).flat();
  }

  async #writeBatch(rows: readonly VersionedRow[], signal: AbortSignal): Promise<WriteOutcome[]> {
    const requests = rows.map((row) => this.#requestOf(row));
    try {
      const replies = await batch(this.#transport, requests, { signal, continueOnError: true });
      return rows.map((row, index) => outcomeOf(row, replies[index] as BatchReply | undefined));
    } catch (error) {
      // A gateway that does not let batches through, or not these: that says nothing about a single row.
      const isOfBatch = error instanceof ConflictError || isUnsupported(error);
      if (isOfBatch || consequenceOf(error) === 'refused')
        return allDone(rows.map((row) => this.#writeOne(row, signal)));
      return rows.map(() => ({ unknown: error as Error }));
    }
  }

  #requestOf({ target, version }: VersionedRow): BatchRequest {
    return {
      method: 'PATCH',
      path: `${this.#settings.entitySet}(${target.id})`,
      headers: version === undefined ? { 'If-None-Match': '*' } : { 'If-Match': version },
      body: toRowValues(target.record, this.#columns),
    };
  }

  async #writeOne(versioned: VersionedRow, signal: AbortSignal): Promise<WriteOutcome> {
    const { target, version } = versioned;
    const condition = version === undefined ? { mode: 'create' as const } : { etag: version };
    try {
      const values = toRowValues(target.record, this.#columns);
      await upsert(this.#transport, this.#settings.entitySet, target.id, values, { ...condition, signal });
      return { created: version === undefined };
    } catch (error) {
      return outcomeOfError(versioned, error);
    }
  }
}

function outcomeOf(versioned: VersionedRow, reply: BatchReply | undefined): WriteOutcome {
  if (reply === undefined) {
    const text = 'Dataverse did not answer all requests of a batch.';
    return { unknown: new RetriableError(text, { operation: 'write campaign metrics' }) };
  }
  if (reply.error === undefined) return { created: versioned.version === undefined };
  return outcomeOfError(versioned, setupErrorOf(reply.error, reply.names) ?? reply.error);
}

function outcomeOfError({ version }: VersionedRow, error: unknown): WriteOutcome {
  if (error instanceof ConflictError || isMissingRow(error)) {
    const isOtherRow = version === undefined && dataverseFault(error)?.code === codes.duplicateKey;
    return isOtherRow ? 'other id' : 'conflict';
  }
  return consequenceOf(error) === 'refused' ? { refused: error as Error } : { unknown: error as Error };
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

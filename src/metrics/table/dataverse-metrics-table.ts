import type { MetricsSettings } from '../../config/metrics-settings.ts';
import { dataverseFault, isMissingRow } from '../../dataverse/errors/errors.ts';
import { codes } from '../../dataverse/errors/fault-codes.ts';
import { parseRows } from '../../dataverse/read/page.ts';
import { readByIds } from '../../dataverse/read/read-by-ids.ts';
import { readPages } from '../../dataverse/read/read-pages.ts';
import { readRow } from '../../dataverse/read/read-row.ts';
import type { Transport } from '../../dataverse/transport/transport.ts';
import { writeBulk } from '../../dataverse/write/write-bulk.ts';
import { upsert } from '../../dataverse/write/write-row.ts';
import { ConflictError, RetriableError } from '../../errors.ts';
import {
  campaignMetricsColumns,
  type MetricsRow,
  toMetricsRow,
  toODataFilter,
  toRowValues,
} from './campaign-metrics-columns.ts';
import { consequenceOf } from './write-consequence.ts';

/** A row that Dataverse rejected permanently. */
export interface RefusedRow {
  id: string;
  error: Error;
}

/** The table as the rest of `src/metrics` sees it; tests replace it. */
export type MetricsTable = Pick<DataverseMetricsTable, keyof DataverseMetricsTable>;

/** A row that keeps changing between reading its version and writing it is given up after this many conflicts. */
const maxConflicts = 6;
/** Dataverse ends every request after this time; learn.microsoft.com: Service protection and execution limits. */
const maxBulkTimeoutMs = 120_000;
const minBulkSize = 50;
const maxEtags = 10_000;

/** The campaign metrics table in Dataverse. Its transport must not retry: callers queue or back off instead. */
export class DataverseMetricsTable {
  readonly #transport: Transport;
  readonly #settings: MetricsSettings;
  readonly #columns;
  /** The newest versions that this instance wrote, so that writing a row again takes one request. */
  readonly #etags = new Map<string, string>();
  #bulkTimeoutMs: number;
  #bulkSize: number;

  constructor(transport: Transport, settings: MetricsSettings) {
    this.#transport = transport;
    this.#settings = settings;
    this.#columns = campaignMetricsColumns(settings);
    this.#bulkTimeoutMs = settings.bulkTimeoutMs;
    this.#bulkSize = settings.bulkSize;
  }

  /**
   * Creates or updates a row, and tells which. Every write is conditional: it creates the row or replaces a known
   * version. A write that Dataverse executes after the caller has given up then meets a newer version and fails.
   * learn.microsoft.com: Perform conditional operations using the Web API.
   */
  async write(row: MetricsRow, signal: AbortSignal): Promise<{ created: boolean; row: MetricsRow }> {
    const { record } = row;
    let { id } = row;
    let etag = this.#etags.get(id);
    for (let conflicts = 0; conflicts < maxConflicts; conflicts += 1) {
      try {
        return await this.#upsert({ id, record }, etag, signal);
      } catch (error) {
        if (!(error instanceof ConflictError) && !isMissingRow(error)) throw error;
        this.#etags.delete(id);
        // Another program can have created a row with this key under an id of its own.
        const isOtherRow = etag === undefined && dataverseFault(error)?.code === codes.duplicateKey;
        if (isOtherRow) id = (await this.#findId(row, signal)) ?? id;
        const options = { select: [this.#columns.id], signal };
        const current = await readRow(this.#transport, this.#settings.entitySet, id, options);
        etag = current && String(current['@odata.etag'] ?? '*');
      }
    }
    throw new RetriableError('The row kept changing while it was being written.', {
      operation: 'write campaign metrics',
      object: this.#settings.entitySet,
    });
  }

  /**
   * Creates or updates rows with different ids, and returns those that Dataverse rejects; the others are written.
   * @throws if rows may not be written for another reason: write all of them again
   */
  async writeMany(rows: readonly MetricsRow[], signal: AbortSignal): Promise<RefusedRow[]> {
    const { entitySet, table: logicalName, bulkSize } = this.#settings;
    const idColumn = this.#columns.id;
    const timeout = AbortSignal.timeout(this.#bulkTimeoutMs);
    const refused: RefusedRow[] = [];
    // A bulk write replaces the known versions and does not return the new ones.
    for (const row of rows) this.#etags.delete(row.id);
    try {
      const values = rows.map(({ id, record }) => ({
        [idColumn]: id,
        ...toRowValues(record, this.#columns),
      }));
      const result = await writeBulk(
        this.#transport,
        {
          message: 'UpsertMultiple',
          entitySet,
          logicalName,
          rows: values,
          idColumn,
          maxRows: this.#bulkSize,
        },
        { signal: AbortSignal.any([signal, timeout]) },
      );
      for (const { index, error } of result.rejected) {
        const row = rows[index]!;
        const reason = error instanceof ConflictError ? await this.#writeAlone(row, signal) : error;
        if (reason !== undefined) refused.push({ id: row.id, error: reason });
      }
    } catch (error) {
      if (timeout.aborted && !signal.aborted) {
        // Dataverse needs more time for so many rows.
        this.#bulkTimeoutMs = Math.min(maxBulkTimeoutMs, this.#bulkTimeoutMs * 2);
        this.#bulkSize = Math.max(Math.min(minBulkSize, bulkSize), Math.ceil(this.#bulkSize / 2));
      }
      throw error;
    }
    this.#bulkSize = Math.min(bulkSize, this.#bulkSize * 2);
    return refused;
  }

  /** Returns which of these ids exist. */
  async existing(ids: readonly string[], signal: AbortSignal): Promise<Set<string>> {
    const primaryKey = this.#columns.id;
    const found = new Set<string>();
    const query = { entitySet: this.#settings.entitySet, primaryKey, ids, select: [primaryKey] };
    for await (const page of readByIds(this.#transport, query, { signal })) {
      for (const row of parseRows(page)) found.add(String(row[primaryKey]).toLowerCase());
    }
    return found;
  }

  /** Writes a row whose key belongs to another row. Returns why Dataverse rejects it; undefined if it is written. */
  async #writeAlone(row: MetricsRow, signal: AbortSignal): Promise<Error | undefined> {
    try {
      await this.write(row, signal);
      return undefined;
    } catch (error) {
      if (consequenceOf(error) === 'refused') return error as Error;
      throw error;
    }
  }

  async #upsert(row: MetricsRow, etag: string | undefined, signal: AbortSignal) {
    const created = etag === undefined;
    const condition = created ? { mode: 'create' as const } : { etag };
    const options = { ...condition, returning: this.#columns.all, signal };
    const values = toRowValues(row.record, this.#columns);
    const written = await upsert(this.#transport, this.#settings.entitySet, row.id, values, options);
    this.#etags.delete(row.id);
    const version = written.row?.['@odata.etag'];
    if (typeof version === 'string') this.#etags.set(row.id, version);
    if (this.#etags.size > maxEtags) this.#etags.delete(this.#etags.keys().next().value!);
    return { created, row: written.row === undefined ? row : toMetricsRow(written.row, this.#columns) };
  }

  /**
   * The id of the row with this campaign, run and phase. By a filter, because Dataverse does not find values with
   * characters such as `/` by alternate key (learn.microsoft.com: Define alternate keys to reference rows).
   */
  async #findId({ record: { campaignId, runId, phase } }: MetricsRow, signal: AbortSignal) {
    const { id } = this.#columns;
    const filter = toODataFilter({ campaignId, runId, phase }, this.#columns);
    const query = { entitySet: this.#settings.entitySet, select: [id], filter };
    for await (const page of readPages(this.#transport, query, { signal })) {
      const [row] = parseRows(page);
      if (row !== undefined) return String(row[id]).toLowerCase();
    }
    return undefined;
  }
}

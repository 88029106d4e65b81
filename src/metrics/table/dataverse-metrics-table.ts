import type { MetricsSettings } from '../../config/metrics-settings.ts';
import { dataverseFault, isMissingRow } from '../../dataverse/errors/errors.ts';
import { codes } from '../../dataverse/errors/fault-codes.ts';
import { queryPath, stringLiteral } from '../../dataverse/read/query.ts';
import { readByIds } from '../../dataverse/read/read-by-ids.ts';
import { readPages } from '../../dataverse/read/read-pages.ts';
import { readRow } from '../../dataverse/read/read-row.ts';
import type { Reply, Row } from '../../dataverse/transport/reply.ts';
import type { Transport } from '../../dataverse/transport/transport.ts';
import { toJson } from '../../dataverse/write/exact-number.ts';
import { writeBulk } from '../../dataverse/write/write-bulk.ts';
import { ConflictError, RetriableError } from '../../errors.ts';
import { campaignMetricsKey } from '../contract/campaign-metrics-fields.ts';
import { campaignMetricsColumns, toMetricsRow, toRowValues } from './campaign-metrics-columns.ts';
import { LeastRecentlyUsed } from './least-recently-used.ts';
import type { MetricsRow, MetricsTable, RefusedRow } from './metrics-table.ts';
import { rowsOfPage } from './page-rows.ts';
import { consequenceOf } from './write-consequence.ts';

/** A row changed under our hands so often that somebody else is writing it all the time. */
const maxConflicts = 6;
/** No request to Dataverse runs longer than this; learn.microsoft.com: Service protection and execution limits. */
const longestBulkMs = 120_000;

/** The table of campaign metrics in a Dataverse environment. The transport must not retry by itself. */
export class DataverseMetricsTable implements MetricsTable {
  readonly #transport: Transport;
  readonly #settings: MetricsSettings;
  readonly #columns;
  /** The versions that this instance wrote, so that a repeated record costs one request. */
  readonly #etags = new LeastRecentlyUsed<string, string>(10_000);
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
   * Every write is conditional: it creates (`If-None-Match: *`) or replaces a version that was seen
   * (`If-Match`). A write that Dataverse carries out after we gave it up then meets a newer version and fails.
   * learn.microsoft.com: Perform conditional operations using the Web API.
   */
  async write(row: MetricsRow, signal: AbortSignal): Promise<{ created: boolean; row: MetricsRow }> {
    let id = row.id;
    let etag = this.#etags.get(id);
    for (let conflicts = 0; conflicts < maxConflicts; conflicts += 1) {
      try {
        return await this.#patch({ id, record: row.record }, etag, signal);
      } catch (error) {
        if (!(error instanceof ConflictError) && !isMissingRow(error)) throw error;
        this.#etags.delete(id);
        if (etag === undefined && dataverseFault(error)?.code === codes.duplicateKey) {
          // Another program made a row of this key under an id of its own.
          id = (await this.#idOfKey(row, signal)) ?? id;
        }
        etag = await this.#currentEtag(id, signal);
      }
    }
    throw new RetriableError('The row is being changed by others all the time.', {
      operation: 'write campaign metrics',
      object: this.#settings.entitySet,
    });
  }

  async writeMany(rows: readonly MetricsRow[], signal: AbortSignal): Promise<RefusedRow[]> {
    const timeout = AbortSignal.timeout(this.#bulkTimeoutMs);
    const refused: RefusedRow[] = [];
    // Versions known before are older than what this writes.
    for (const row of rows) this.#etags.delete(row.id);
    try {
      const result = await writeBulk(
        this.#transport,
        {
          message: 'UpsertMultiple',
          entitySet: this.#settings.entitySet,
          logicalName: this.#settings.table,
          rows: rows.map((row) => ({
            [this.#columns.id]: row.id,
            ...toRowValues(row.record, this.#columns),
          })),
          idColumn: this.#columns.id,
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
      if (timeout.aborted && !signal.aborted) this.#slowDown();
      throw error;
    }
    this.#bulkSize = Math.min(this.#settings.bulkSize, this.#bulkSize * 2);
    return refused;
  }

  async existing(ids: readonly string[], signal: AbortSignal): Promise<Set<string>> {
    const { id } = this.#columns;
    const found = new Set<string>();
    const query = { entitySet: this.#settings.entitySet, primaryKey: id, ids, select: [id] };
    for await (const page of readByIds(this.#transport, query, { signal })) {
      for (const row of rowsOfPage(page)) found.add(String(row[id]).toLowerCase());
    }
    return found;
  }

  /** Writes a row whose key another row has. Why it is refused, or undefined. */
  async #writeAlone(row: MetricsRow, signal: AbortSignal): Promise<Error | undefined> {
    try {
      await this.write(row, signal);
      return undefined;
    } catch (error) {
      if (consequenceOf(error) === 'refused') return error as Error;
      throw error;
    }
  }

  async #patch(row: MetricsRow, etag: string | undefined, signal: AbortSignal) {
    const { entitySet } = this.#settings;
    const call = {
      operation: `write a row of ${entitySet}`,
      entitySet,
      method: 'PATCH' as const,
      url: `${entitySet}(${row.id})${queryPath('x', { select: this.#columns.all }).slice(1)}`,
      headers: {
        'Content-Type': 'application/json; charset=utf-8',
        Prefer: 'return=representation',
        ...(etag === undefined ? { 'If-None-Match': '*' } : { 'If-Match': etag }),
      },
      body: toJson(toRowValues(row.record, this.#columns)),
      // Without an answer the record is queued, so the connection may as well be a kept one.
      idempotent: true,
      signal,
    };
    const { status, body, version } = await this.#transport.send(call, readAnswer);
    if (version === undefined) this.#etags.delete(row.id);
    else this.#etags.set(row.id, version);
    const created = status === 201 || (status === 204 && etag === undefined);
    return { created, row: toMetricsRow(body, this.#columns, row) };
  }

  /** The row's version; `*` for a row that shows none; undefined where there is no row. */
  async #currentEtag(id: string, signal: AbortSignal): Promise<string | undefined> {
    const options = { select: [this.#columns.id], signal };
    const row = await readRow(this.#transport, this.#settings.entitySet, id, options);
    return row === undefined ? undefined : String(row['@odata.etag'] ?? '*');
  }

  async #idOfKey({ record }: MetricsRow, signal: AbortSignal): Promise<string | undefined> {
    const { id, column } = this.#columns;
    const filter = campaignMetricsKey
      .map((name) => `${column[name]} eq ${stringLiteral(record[name])}`)
      .join(' and ');
    const query = { entitySet: this.#settings.entitySet, select: [id], filter };
    for await (const page of readPages(this.#transport, query, { signal })) {
      const [row] = rowsOfPage(page);
      if (row !== undefined) return String(row[id]).toLowerCase();
    }
    return undefined;
  }

  /** Dataverse needs longer than it was given: fewer rows and more time for the next try. */
  #slowDown(): void {
    this.#bulkTimeoutMs = Math.min(longestBulkMs, this.#bulkTimeoutMs * 2);
    this.#bulkSize = Math.max(Math.min(50, this.#settings.bulkSize), Math.ceil(this.#bulkSize / 2));
  }
}

function readAnswer(reply: Reply): { status: number; body: Row; version: string | undefined } {
  const { status, headers } = reply;
  let body: Row = {};
  try {
    body = JSON.parse(reply.body.toString() || '{}') as Row;
  } catch {
    // The status says that it is written; what the row looks like is what was sent.
  }
  const version = body['@odata.etag'] ?? headers.get('etag');
  return { status, body, version: typeof version === 'string' ? version : undefined };
}

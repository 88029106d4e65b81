import type { MetricsSettings } from '../../config/metrics-settings.ts';
import { dataverseFault, isMissingRow } from '../../dataverse/errors/errors.ts';
import { codes } from '../../dataverse/errors/fault-codes.ts';
import { parseRows } from '../../dataverse/read/page.ts';
import { readByIds } from '../../dataverse/read/read-by-ids.ts';
import { readPages } from '../../dataverse/read/read-pages.ts';
import { readRow } from '../../dataverse/read/read-row.ts';
import type { Row } from '../../dataverse/transport/reply.ts';
import type { Transport } from '../../dataverse/transport/transport.ts';
import { upsert } from '../../dataverse/write/write-row.ts';
import { ConflictError, RetriableError, SyncError } from '../../errors.ts';
import { forEachConcurrently } from '../../storage/for-each-concurrently.ts';
import { campaignMetricsKey } from '../contract/campaign-metrics-fields.ts';
import { keyMeaning } from '../contract/key-meaning.ts';
import {
  campaignMetricsColumns,
  type MetricsRow,
  toMetricsRow,
  toODataFilter,
  toRowValues,
} from './campaign-metrics-columns.ts';
import { allDone, ConditionalWrites, type VersionedRow, type WriteOutcome } from './conditional-writes.ts';
import { consequenceOf } from './write-consequence.ts';
import type { WriteGuard } from './write-guard.ts';

/** A row is written, or Dataverse rejected it permanently. */
export type RowResult = { created: boolean } | { refused: Error };

/** The table as the rest of `src/metrics` sees it; tests replace it. */
export type MetricsTable = Pick<DataverseMetricsTable, keyof DataverseMetricsTable>;

/** A row that keeps changing between reading its version and writing it is given up after this many conflicts. */
const maxConflicts = 6;
/** Dataverse ends every request after this time; learn.microsoft.com: Service protection and execution limits. */
const maxBulkTimeoutMs = 120_000;
const minBulkSize = 50;
const maxVersions = 10_000;
/** Look-ups of rows by key at the same time. */
const parallelFinds = 8;

/** The campaign metrics table in Dataverse. Its transport must not retry: callers queue or back off instead. */
export class DataverseMetricsTable {
  readonly #transport: Transport;
  readonly #settings: MetricsSettings;
  readonly #columns;
  readonly #writes: ConditionalWrites;
  /** The newest versions that this instance wrote, so that writing a row again takes one request. */
  readonly #versions = new Map<string, string>();
  /** The ids of rows that have another one than their key gives: of earlier versions of this app, or other programs. */
  readonly #otherIds = new Map<string, string>();
  #bulkTimeoutMs: number;
  #bulkSize: number;

  constructor(transport: Transport, settings: MetricsSettings) {
    this.#transport = transport;
    this.#settings = settings;
    this.#columns = campaignMetricsColumns(settings);
    this.#writes = new ConditionalWrites(transport, settings, this.#columns);
    this.#bulkTimeoutMs = settings.bulkTimeoutMs;
    this.#bulkSize = settings.bulkSize;
  }

  /**
   * Creates or updates a row, and tells which. Every write is conditional: it creates the row or replaces a known
   * version. A write that Dataverse executes after the caller has given up then meets a newer version and fails.
   * learn.microsoft.com: Perform conditional operations using the Web API.
   */
  async write(row: MetricsRow, guard: WriteGuard): Promise<{ created: boolean; row: MetricsRow }> {
    const { record } = row;
    let id = this.#otherIds.get(row.id) ?? row.id;
    let version = this.#versions.get(id);
    for (let conflicts = 0; conflicts < maxConflicts; conflicts += 1) {
      try {
        return await this.#upsert({ id, record }, version, guard.signal);
      } catch (error) {
        if (!(error instanceof ConflictError) && !isMissingRow(error)) throw error;
        this.#versions.delete(id);
        // Another program can have created a row with this key under an id of its own.
        const isOtherRow = version === undefined && dataverseFault(error)?.code === codes.duplicateKey;
        if (isOtherRow || id !== row.id) id = (await this.#findOther(row, guard.signal)) ?? row.id;
        const options = { select: [this.#columns.id], signal: guard.signal };
        const current = await readRow(this.#transport, this.#settings.entitySet, id, options);
        version = current && versionOf(current);
        guard.confirm?.();
      }
    }
    throw this.#keptChanging();
  }

  /**
   * Creates or updates rows with different ids, under the same conditions as `write`. Returns the result of each row.
   *
   * New rows are created together, a thousand per request. Rows that exist are updated in batches of a hundred, because
   * only a request of its own can name the version that it replaces. Both are preceded by one read per 700 rows whose
   * version this instance does not know.
   * @throws if rows may not be written: write all of them again
   */
  async writeMany(rows: readonly MetricsRow[], guard: WriteGuard): Promise<RowResult[]> {
    const timeout = AbortSignal.timeout(this.#bulkTimeoutMs);
    const { bulkSize } = this.#settings;
    try {
      const signal = AbortSignal.any([guard.signal, timeout]);
      const results = await this.#writeRounds(rows, { ...guard, signal });
      this.#bulkSize = Math.min(bulkSize, this.#bulkSize * 2);
      return results;
    } catch (error) {
      if (timeout.aborted && !guard.signal.aborted) {
        // Dataverse needs more time for so many rows.
        this.#bulkTimeoutMs = Math.min(maxBulkTimeoutMs, this.#bulkTimeoutMs * 2);
        this.#bulkSize = Math.max(Math.min(minBulkSize, bulkSize), Math.ceil(this.#bulkSize / 2));
      }
      throw error;
    }
  }

  /** Writes rows until each has a result: those that met another version are read and written again. */
  async #writeRounds(rows: readonly MetricsRow[], guard: WriteGuard): Promise<RowResult[]> {
    const results = new Map<string, RowResult>();
    let open = rows;
    for (let round = 0; open.length > 0; round += 1) {
      if (round === maxConflicts) throw this.#keptChanging();
      const versioned = await this.#withVersions(open, guard.signal);
      guard.confirm?.();
      const outcomes = await this.#writeRound(versioned, round === 0, guard.signal);
      const again: MetricsRow[] = [];
      const others: MetricsRow[] = [];
      for (const [index, outcome] of outcomes.entries()) {
        const row = open[index]!;
        if (outcome === 'conflict') again.push(row);
        else if (outcome === 'other id') others.push(row);
        else results.set(row.id, outcome);
      }
      // What is found stays known, so also a call that ends early brings the next one closer to its end.
      await forEachConcurrently(others, parallelFinds, async (row) => {
        const refused = await this.#refusalOf(row, guard.signal);
        if (refused === undefined) again.push(row);
        else results.set(row.id, { refused });
      });
      open = again;
    }
    return rows.map(({ id }) => results.get(id)!);
  }

  /** @param together whether to try to create the new rows with one request */
  async #writeRound(
    rows: readonly VersionedRow[],
    together: boolean,
    signal: AbortSignal,
  ): Promise<WriteOutcome[]> {
    const isNew = ({ version }: VersionedRow) => together && version === undefined;
    const created = rows.filter(isNew).map(({ row }) => row);
    const each = rows.filter((row) => !isNew(row));
    const [count, outcomes] = await allDone([
      this.#writes.createTogether(created, this.#bulkSize, signal),
      this.#writes.writeEach(each, signal),
    ] as const);
    const byRow = new Map<MetricsRow, WriteOutcome>();
    for (const [index, row] of created.entries())
      byRow.set(row, index < count ? { created: true } : 'conflict');
    for (const [index, { row }] of each.entries()) byRow.set(row, outcomes[index]!);
    return rows.map(({ row }) => byRow.get(row)!);
  }

  /**
   * The rows with their ids in Dataverse and their versions, from memory or from Dataverse. A version is used once: the
   * write replaces it.
   */
  async #withVersions(rows: readonly MetricsRow[], signal: AbortSignal): Promise<VersionedRow[]> {
    const targets = rows.map(({ id, record }) => ({ id: this.#otherIds.get(id) ?? id, record }));
    const versions = new Map<string, string>();
    for (const { id } of targets) {
      const known = this.#versions.get(id);
      if (known !== undefined) versions.set(id, known);
      this.#versions.delete(id);
    }
    const ids = targets.map(({ id }) => id).filter((id) => !versions.has(id));
    const { id: primaryKey, column } = this.#columns;
    const hasOthers = targets.some(({ id }, index) => id !== rows[index]!.id);
    const select = [primaryKey, ...(hasOthers ? campaignMetricsKey.map((name) => column[name]) : [])];
    const query = { entitySet: this.#settings.entitySet, primaryKey, ids, select };
    const found = new Map<string, Row>();
    for await (const page of readByIds(this.#transport, query, { signal })) {
      for (const row of parseRows(page)) {
        const id = String(row[primaryKey]).toLowerCase();
        versions.set(id, versionOf(row));
        found.set(id, row);
      }
    }
    return rows.map((row, index) => {
      const target = targets[index]!;
      const read = found.get(target.id);
      const version = versions.get(target.id);
      const isKnown = read === undefined ? version !== undefined : this.#hasKeyOf(read, row);
      if (target.id === row.id || isKnown) return { row: target, version };
      // Somebody deleted the row, or gave it another key.
      this.#otherIds.delete(row.id);
      return { row, version: undefined };
    });
  }

  /** Looks up the id of a row whose key belongs to another id. Returns why the row is rejected, if it is. */
  async #refusalOf(row: MetricsRow, signal: AbortSignal): Promise<Error | undefined> {
    try {
      await this.#findOther(row, signal);
      return undefined;
    } catch (error) {
      if (consequenceOf(error) === 'refused') return error as Error;
      throw error;
    }
  }

  #hasKeyOf(row: Row, { record }: MetricsRow): boolean {
    const other = toMetricsRow(row, this.#columns);
    return campaignMetricsKey.every(
      (name) => keyMeaning(String(other.record[name] ?? '')) === keyMeaning(record[name]),
    );
  }

  #keptChanging(): RetriableError {
    return new RetriableError('The row kept changing while it was being written.', {
      operation: 'write campaign metrics',
      object: this.#settings.entitySet,
    });
  }

  async #upsert(row: MetricsRow, replaces: string | undefined, signal: AbortSignal) {
    const created = replaces === undefined;
    const condition = created ? { mode: 'create' as const } : { etag: replaces };
    const options = { ...condition, returning: this.#columns.all, signal };
    const values = toRowValues(row.record, this.#columns);
    const written = await upsert(this.#transport, this.#settings.entitySet, row.id, values, options);
    this.#versions.delete(row.id);
    // The service can ignore the preference for a representation, and answer 204.
    if (written.row === undefined) return { created, row };
    const stored = toMetricsRow(written.row, this.#columns);
    if (stored.id !== row.id) throw unusable('Dataverse answered with another row than the one written.');
    this.#versions.set(row.id, versionOf(written.row));
    if (this.#versions.size > maxVersions) this.#versions.delete(this.#versions.keys().next().value!);
    return { created, row: stored };
  }

  /**
   * The id of the row that Dataverse takes for the row of this campaign, run and phase. By a filter, because Dataverse
   * does not find values with characters such as `/` by alternate key (learn.microsoft.com: Define alternate keys to
   * reference rows).
   * @throws SyncError if that row is of another record: replacing it would lose it
   */
  async #findOther(wanted: MetricsRow, signal: AbortSignal): Promise<string | undefined> {
    this.#otherIds.delete(wanted.id);
    const { record } = wanted;
    const { entitySet } = this.#settings;
    const { id, column } = this.#columns;
    const { campaignId, runId, phase } = record;
    const filter = toODataFilter({ campaignId, runId, phase }, this.#columns);
    const select = [id, ...campaignMetricsKey.map((name) => column[name])];
    for await (const page of readPages(this.#transport, { entitySet, select, filter }, { signal })) {
      const [row] = parseRows(page);
      if (row === undefined) continue;
      const other = toMetricsRow(row, this.#columns);
      if (this.#hasKeyOf(row, wanted)) {
        if (other.id !== wanted.id) this.#otherIds.set(wanted.id, other.id);
        if (this.#otherIds.size > maxVersions) this.#otherIds.delete(this.#otherIds.keys().next().value!);
        return other.id;
      }
      throw new SyncError(`Dataverse takes this campaign, run and phase for those of the row ${other.id}.`, {
        operation: 'write campaign metrics',
        object: entitySet,
        hint: 'Choose values that differ in plain letters or digits, not only in symbols or in how a letter is written.',
      });
    }
    return undefined;
  }
}

/** @throws RetriableError if Dataverse did not send the version: without it the next write would be unconditional */
function versionOf(row: Row): string {
  const version = row['@odata.etag'];
  if (typeof version === 'string') return version;
  throw unusable('Dataverse answered with a row without its version.');
}

/** The row may be written or not: the caller queues it. */
function unusable(message: string): RetriableError {
  return new RetriableError(message, { operation: 'write campaign metrics' });
}

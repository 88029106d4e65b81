import type { MetricsSettings } from '../../config/metrics-settings.ts';
import { dataverseFault, isMissingRow } from '../../dataverse/errors/errors.ts';
import { codes } from '../../dataverse/errors/fault-codes.ts';
import type { Transport } from '../../dataverse/transport/transport.ts';
import { upsert } from '../../dataverse/write/write-row.ts';
import { ConflictError, RetriableError } from '../../errors.ts';
import { forEachConcurrently } from '../../storage/for-each-concurrently.ts';
import { BulkLimits } from './bulk-limits.ts';
import {
  campaignMetricsColumns,
  type MetricsRow,
  toMetricsRow,
  toRowValues,
} from './campaign-metrics-columns.ts';
import { allDone, ConditionalWrites, type VersionedRow } from './conditional-writes.ts';
import { RowFinder, unusable, versionOf } from './row-finder.ts';
import { consequenceOf } from './write-consequence.ts';
import type { WriteGuard } from './write-guard.ts';

/**
 * What became of a row.
 * - `created`: written; `id` is the row's id in Dataverse, which another program or an earlier version may have chosen
 * - `refused`: Dataverse rejected the row permanently
 * - `unknown`: Dataverse may have written the row or not, or may still do so: write it again
 */
export type RowResult = { created: boolean; id: string } | { refused: Error } | { unknown: Error };

/** The table as the rest of `src/metrics` sees it; tests replace it. */
export type MetricsTable = Pick<DataverseMetricsTable, keyof DataverseMetricsTable>;

/** A row that keeps changing between reading its version and writing it is given up after this many conflicts. */
const maxConflicts = 6;
/** Look-ups of rows by key at the same time. */
const parallelFinds = 8;

/** The campaign metrics table in Dataverse. Its transport must not retry: callers queue or back off instead. */
export class DataverseMetricsTable {
  readonly #transport: Transport;
  readonly #settings: MetricsSettings;
  readonly #columns;
  readonly #writes: ConditionalWrites;
  readonly #finder: RowFinder;
  readonly #limits: BulkLimits;

  /** @param limits `maxTimeoutMs`: the longest time that a bulk write may take. @default 120 s, as Dataverse has it */
  constructor(transport: Transport, settings: MetricsSettings, limits: { maxTimeoutMs?: number } = {}) {
    this.#transport = transport;
    this.#settings = settings;
    this.#columns = campaignMetricsColumns(settings);
    this.#finder = new RowFinder(transport, settings, this.#columns);
    this.#writes = new ConditionalWrites(transport, settings, this.#columns);
    this.#limits = new BulkLimits(settings, limits.maxTimeoutMs);
  }

  /**
   * Creates or updates a row, and tells which. Every write is conditional: it creates the row or replaces a known
   * version. A write that Dataverse executes after the caller has given up then meets a newer version and fails.
   * learn.microsoft.com: Perform conditional operations using the Web API.
   */
  async write(row: MetricsRow, guard: WriteGuard): Promise<{ created: boolean; row: MetricsRow }> {
    const { record } = row;
    let id = this.#finder.idOf(row);
    let version = this.#finder.versionOf(id);
    for (let conflicts = 0; conflicts < maxConflicts; conflicts += 1) {
      try {
        const written = await this.#upsert({ id, record }, version, guard.signal);
        this.#finder.keepId(row, id);
        return written;
      } catch (error) {
        if (!(error instanceof ConflictError) && !isMissingRow(error)) throw error;
        this.#finder.keepVersion(id, undefined);
        // Another program can have created a row with this key under an id of its own.
        const isOtherRow = version === undefined && dataverseFault(error)?.code === codes.duplicateKey;
        if (isOtherRow || id !== row.id) id = (await this.#finder.findOther(row, guard.signal)) ?? row.id;
        version = await this.#finder.readVersion(id, guard.signal);
        guard.confirm?.();
      }
    }
    throw this.#keptChanging();
  }

  /**
   * Creates or updates rows with different ids, under the same conditions as `write`. Returns the result of each row.
   *
   * New rows are created together, a thousand per request. Rows that exist are updated in batches of a hundred, because
   * only a request of its own can name the version that it replaces. Both are preceded by one read per 500 rows whose
   * version this instance does not know. A request that fails leaves only its own rows unknown.
   * @throws what `guard.confirm` throws
   */
  async writeMany(rows: readonly MetricsRow[], guard: WriteGuard): Promise<RowResult[]> {
    const used = rows.map((row) => ({ id: row.id, level: this.#limits.levelOf(row) }));
    const highest = used.reduce((level, row) => Math.max(level, row.level), 0);
    const timeout = AbortSignal.timeout(this.#limits.timeoutAt(highest));
    const startedAt = performance.now();
    const signal = AbortSignal.any([guard.signal, timeout]);
    const results = await this.#writeRounds(rows, { ...guard, signal });
    const late = used.filter((_, index) => 'unknown' in results[index]!);
    const settled = used.filter((_, index) => !('unknown' in results[index]!));
    this.#limits.wereInTime(settled, performance.now() - startedAt, late.length === 0);
    if (late.length > 0 && timeout.aborted && !guard.signal.aborted) {
      this.#limits.wasTooSlow(late, rows.length);
    }
    return results;
  }

  /**
   * The id that the row of this campaign, run and phase has in Dataverse; undefined if there is no such row.
   * @throws SyncError if Dataverse takes the key for that of another row, or does not answer
   */
  findId(row: MetricsRow, signal: AbortSignal): Promise<string | undefined> {
    return this.#finder.findId(row, signal);
  }

  /** Writes rows until each has a result: those that met another version are read and written again. */
  async #writeRounds(rows: readonly MetricsRow[], guard: WriteGuard): Promise<RowResult[]> {
    const results = new Map<string, RowResult>();
    let open = rows;
    for (let round = 0; open.length > 0 && round < maxConflicts; round += 1) {
      const known: VersionedRow[] = [];
      for (const [index, versioned] of (await this.#finder.withVersions(open, guard.signal)).entries()) {
        if ('unknown' in versioned) results.set(open[index]!.id, versioned);
        else known.push(versioned);
      }
      guard.confirm?.();
      open = await this.#writeRound(known, round === 0, guard.signal, results);
    }
    const unknown = this.#keptChanging();
    return rows.map(({ id }) => results.get(id) ?? { unknown });
  }

  /**
   * Writes each row once. Adds the results, and returns the rows that are to be read and written again.
   * @param together whether to try to create the new rows with one request
   */
  async #writeRound(
    rows: readonly VersionedRow[],
    together: boolean,
    signal: AbortSignal,
    results: Map<string, RowResult>,
  ): Promise<MetricsRow[]> {
    const isNew = ({ version }: VersionedRow) => together && version === undefined;
    const level = (row: MetricsRow) => this.#limits.levelOf(row);
    // Slow rows first, each with those that are as slow.
    const bySpeed = rows.toSorted((a, b) => level(b.row) - level(a.row));
    const sorted = [...bySpeed.filter(isNew), ...bySpeed.filter((row) => !isNew(row))];
    const count = rows.filter(isNew).length;
    const created = sorted.slice(0, count).map(({ target }) => target);
    const outcomes = await allDone([
      this.#writes.createTogether(created, (row) => this.#limits.createSizeAt(level(row)), signal),
      this.#writes.writeEach(sorted.slice(count), (row) => this.#limits.batchSizeAt(level(row)), signal),
    ] as const);
    const again: MetricsRow[] = [];
    const others: MetricsRow[] = [];
    for (const [index, outcome] of outcomes.flat().entries()) {
      const { row, target } = sorted[index]!;
      if (outcome === 'conflict') again.push(row);
      else if (outcome === 'other id') others.push(row);
      else if ('created' in outcome) {
        results.set(row.id, { ...outcome, id: target.id });
        this.#finder.keepId(row, target.id);
      } else results.set(row.id, outcome);
    }
    // What is found stays known, so also a call that ends early brings the next one closer to its end.
    await forEachConcurrently(others, parallelFinds, async (row) => {
      const result = await this.#refusalOf(row, signal);
      if (result === undefined) again.push(row);
      else results.set(row.id, result);
    });
    return again;
  }

  /** Looks up the id of a row whose key belongs to another id. Returns a result if the row cannot be written with it. */
  async #refusalOf(row: MetricsRow, signal: AbortSignal): Promise<RowResult | undefined> {
    try {
      await this.#finder.findOther(row, signal);
      return undefined;
    } catch (error) {
      return consequenceOf(error) === 'refused' ? { refused: error as Error } : { unknown: error as Error };
    }
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
    this.#finder.keepVersion(row.id, undefined);
    // The service can ignore the preference for a representation, and answer 204.
    if (written.row === undefined) return { created, row };
    const stored = toMetricsRow(written.row, this.#columns);
    if (stored.id !== row.id) throw unusable('Dataverse answered with another row than the one written.');
    this.#finder.keepVersion(row.id, versionOf(written.row));
    return { created, row: stored };
  }
}

import type { TableConfig } from '../../config/entities.ts';
import { createRequestStats } from '../../dataverse/transport/stats.ts';
import { describeForLog, SyncError } from '../../errors.ts';
import { stateIn, type TableState } from '../../target/state.ts';
import type { TablePlan } from '../documents/plan.ts';
import { type TableReport, withNotes } from '../documents/report.ts';
import { addFigures, type Slice } from '../documents/slice.ts';
import { readRows, type SliceResult } from '../fetch/read-slice.ts';
import { massDeleteLimitOf, type RoundMerge } from '../round/round-merge.ts';
import { refusedOptionsAfter } from '../strategies/next-state.ts';
import type { RowsById } from '../strategies/rows-by-id.ts';
import { type FailedMerge, failedMerge } from './merge-tables.ts';

/** What one merge reads itself, at most. It holds the whole database in memory; more goes through the queue. */
const maxIds = 5000;
const maxSeconds = 20;
const maxBytes = 32 * 1024 * 1024;

/**
 * Reads rows of filtered tables during a merge: a few that are missing after a round. Chains of references that
 * alternate between tables (contact, account, contact …) would otherwise take a round and a commit for each link.
 */
export class ClosingReads {
  readonly #round: RoundMerge;
  readonly #configs: ReadonlyMap<string, TableConfig>;
  readonly #excluded: ReadonlyMap<string, unknown>;
  readonly #began = performance.now();
  #ids = 0;
  #bytes = 0;
  /** In the first round nothing was read by id yet, so the ids may be many. */
  #isOver: boolean;
  /** The ids that Dataverse was asked for, by logical name. */
  readonly asked = new Map<string, Set<string>>();
  /** Logical names of the tables whose rows it changed. */
  readonly changed = new Set<string>();

  /** @param excluded tables that cannot be merged */
  constructor(
    round: RoundMerge,
    configs: ReadonlyMap<string, TableConfig>,
    excluded: ReadonlyMap<string, unknown>,
  ) {
    this.#round = round;
    this.#configs = configs;
    this.#excluded = excluded;
    this.#isOver = round.plan.round === 1;
  }

  /**
   * Reads and merges rows, if they are few enough.
   * @param missing ids by logical name
   * @returns whether the mirror has other rows now, or the table that could not be merged
   */
  async read(missing: ReadonlyMap<string, readonly string[]>): Promise<boolean | FailedMerge> {
    const wanted = [...missing].filter(([name, ids]) => ids.length > 0 && this.#canRead(name));
    this.#ids += wanted.reduce((sum, [, ids]) => sum + ids.length, 0);
    let hasRead = false;
    for (const [name, ids] of wanted) {
      if (this.#isOver || this.#ids > maxIds || this.#bytes > maxBytes || this.#secondsLeft() <= 0) break;
      const result = await this.#tryToRead(name, ids);
      if (result === undefined) break;
      hasRead = true;
      const failed = await this.#merge(name, ids, result);
      if (failed !== undefined) return failed;
    }
    return hasRead;
  }

  #secondsLeft(): number {
    return maxSeconds - (performance.now() - this.#began) / 1000;
  }

  #canRead(name: string): boolean {
    const { mirror, catalog, reports, postponed, becameFiltered } = this.#round;
    const table = catalog.tables[name];
    if (table === undefined || stateIn(mirror.state, table) === undefined) return false;
    if (postponed.includes(name) || becameFiltered.has(name) || this.#excluded.has(name)) return false;
    return !reports.some((report) => report.name === name && report.state === 'failed');
  }

  /** Undefined after an error: the next round tries again, by the queue, which can wait and reports what fails. */
  async #tryToRead(name: string, ids: readonly string[]): Promise<SliceResult | undefined> {
    const { services, plan, catalog, mirror } = this.#round;
    const { runId, round } = plan;
    const { storedIds: stored, rowBytes, refusedOptions } = mirror.state.entities[name]!;
    const read: RowsById = { kind: 'ids', ids, stored };
    const start = { strategy: 'filtered', read, part: 'rows' } as const;
    const tablePlan: TablePlan = {
      ...{ config: this.#configs.get(name)!, strategy: 'filtered', read, rowBytes, reason: '' },
      omit: refusedOptions?.options,
    };
    const message = { runId, round, entity: name, slice: 0 };
    const signal = AbortSignal.timeout(Math.ceil(this.#secondsLeft() * 1000));
    try {
      const stats = createRequestStats();
      return await readRows(services, message, catalog.tables[name]!, tablePlan, start, stats, { signal });
    } catch (error) {
      if (!signal.aborted && !(error instanceof SyncError)) throw error;
      this.#isOver = true;
      const text = `The next round reads rows of ${name} that the merge could not read: ${describeForLog(error)}`;
      services.telemetry.log('info', text, { runId, round, entity: name });
      return undefined;
    } finally {
      services.progress.clear(runId, round, name);
    }
  }

  async #merge(
    name: string,
    ids: readonly string[],
    { slice, shard }: SliceResult,
  ): Promise<FailedMerge | undefined> {
    const round = this.#round;
    const { mirror, catalog } = round;
    const known = mirror.state.entities[name]!;
    const config = this.#configs.get(name)!;
    this.#bytes += slice.bytes;
    // A slice that ends early leaves the rest to the next call.
    const asked = slice.next === undefined ? ids : ids.slice(0, slice.next.offset ?? 0);
    this.asked.set(name, new Set([...(this.asked.get(name) ?? []), ...asked, ...(slice.absent ?? [])]));
    try {
      const parts = shard === undefined ? [] : [shard];
      const merge = await mirror.mergeTable(
        catalog.tables[name]!,
        parts.map((bytes) => ({ read: async () => bytes, isFinal: true })),
        {
          history: config.history,
          startHistory: false,
          massDeleteLimit: massDeleteLimitOf(round, config),
          isComplete: false,
          comparedKeys: undefined,
        },
      );
      const { table, rows, added, updated, deleted } = merge;
      const refusedOptions = refusedOptionsAfter(known.refusedOptions, [slice], round.at);
      mirror.state.entities[name] = { ...known, table, rows, refusedOptions };
      if (added + updated + deleted > 0) {
        round.changed.add(name);
        this.changed.add(name);
      }
      addToReport(reportFor(round, name, known), slice, merge);
      return undefined;
    } catch (error) {
      return failedMerge(round, name, error);
    }
  }
}

function addToReport(
  report: TableReport,
  slice: Slice,
  { added, updated, deleted, rows }: { added: number; updated: number; deleted: number; rows: number },
): void {
  Object.assign(report, addFigures([report, slice]));
  report.reason = withNotes(report.reason, slice.notes);
  if (slice.notes !== undefined) report.notes = [...(report.notes ?? []), ...slice.notes];
  report.added += added;
  report.updated += updated;
  report.deleted += deleted;
  report.unchanged = Math.max(0, rows - report.added - report.updated);
}

/** The report of a table in this round, which may not have read it. */
export function reportFor({ reports }: RoundMerge, name: string, { table, rows }: TableState): TableReport {
  const existing = reports.find((one) => one.name === name);
  if (existing !== undefined) return existing;
  const figures = { ...addFigures([]), added: 0, updated: 0, deleted: 0, unchanged: rows };
  const report: TableReport = { name, table: table.name, strategy: 'filtered', state: 'merged', ...figures };
  reports.push(report);
  return report;
}

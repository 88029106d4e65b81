import {
  ConflictError,
  describeFailure,
  describeForLog,
  type Failure,
  RetriableError,
} from '../../errors.ts';
import type { TableMerge } from '../../target/mirror-target.ts';
import { stateIn } from '../../target/state.ts';
import { readShard } from '../documents/open-shard.ts';

import { withNotes } from '../documents/report.ts';
import { readStoredIds } from '../documents/stored-ids.ts';
import { fetchReport, openFailure } from '../round/fetched-round.ts';
import { isKnownToHaveMoved, tokenSign } from '../round/moved-back.ts';
import { isQuiet, quietTable } from '../round/quiet-table.ts';
import { rereadNext } from '../round/rereads.ts';
import { allowMassDeleteHint, fetchNext, massDeleteLimitOf, type RoundMerge } from '../round/round-merge.ts';
import { type FetchedTable, finalSlices, finalStart } from '../strategies/fetched-table.ts';
import { nextState } from '../strategies/next-state.ts';
import { readingOf } from '../strategies/registry.ts';

export interface FailedMerge {
  name: string;
  error: unknown;
}

/** Merges every table. @returns the first one that failed: nothing else may use the transaction then */
export async function mergeTables(
  round: RoundMerge,
  excluded: ReadonlyMap<string, unknown>,
): Promise<FailedMerge | undefined> {
  for (const fetched of round.tables) {
    const { name, failure } = fetched;
    if (failure !== undefined || excluded.has(name)) {
      const described = failure ?? describeFailure(excluded.get(name), round.plan.runId);
      round.reports.push({ ...fetchReport(fetched), state: 'failed', ...described });
      continue;
    }
    try {
      await mergeOne(round, fetched);
    } catch (error) {
      return failedMerge(round, name, error);
    }
  }
  return undefined;
}

/** A table without which the merge starts over. @throws the error if the whole merge is to be repeated */
export function failedMerge({ services, plan }: RoundMerge, name: string, error: unknown): FailedMerge {
  if (error instanceof RetriableError || error instanceof ConflictError) throw error;
  const message = `The other tables are merged without ${name}: ${describeForLog(error)}`;
  const { hint } = describeFailure(error, plan.runId);
  services.telemetry.log('error', message, { runId: plan.runId, entity: name, hint });
  return { name, error };
}

async function mergeOne(round: RoundMerge, fetched: FetchedTable): Promise<void> {
  const { services, plan, mirror } = round;
  const { name } = fetched;
  const { config } = fetched.plan;
  const settings = services.settings.sync;
  const table = round.catalog.tables[name]!;
  const known = stateIn(mirror.state, table);
  if (known !== undefined && !mirror.isOpen(table) && isQuiet(round, mirror.state, name)) {
    const quiet = await quietTable(round, known, fetched, round.at);
    mirror.state.entities[name] = quiet.state;
    round.reports.push(quiet.report);
    return;
  }
  const start = finalStart(fetched);
  const reading = readingOf(start);
  const keys = reading.comparedKeys(start.read);
  const final = new Set(finalSlices(fetched));
  const shards = fetched.slices.flatMap((slice) => {
    const { shard } = slice;
    if (shard === undefined) return [];
    return { name: shard, read: () => readShard(services, shard), isFinal: final.has(slice) };
  });
  const merge = await mirror.mergeTable(table, shards, {
    history: config.history,
    startHistory: config.history && known?.history !== true,
    massDeleteLimit: massDeleteLimitOf(round, config),
    isComplete: reading.isComplete(start.read),
    comparedKeys: typeof keys === 'object' ? await readStoredIds(services, keys.list) : keys,
  });
  if (config.filtered && known !== undefined && known.strategy !== 'filtered') round.becameFiltered.add(name);
  const { rows, outdatedIds } = merge;
  if (!isKnownToHaveMoved(fetched)) {
    const token = tokenSign(known, fetched);
    if (token !== undefined) round.signs.push(token);
    if (merge.movedBack > 0) {
      round.signs.push(`${merge.movedBack} rows of ${name} have a lower version than before`);
    }
  }
  if (isMany(outdatedIds.length, rows) && !config.filtered) {
    // The reason stays the same in each run: they add up until the table is read.
    rereadNext(round, name, 'many rows differed from those of Dataverse');
  } else if (outdatedIds.length > 0) fetchNext(round, name, outdatedIds);
  if (merge.schemaChanges + merge.added + merge.updated + merge.deleted > 0) round.changed.add(name);
  const failure = failureOf(fetched, merge);
  addReport(round, fetched, merge, failure ?? openFailure(known, fetched));
  mirror.state.entities[name] = await nextState(settings, known, merge.table, fetched, {
    rows,
    startedAt: fetched.plan.carried?.createdAt ?? plan.createdAt,
    at: round.at,
    isCurrent: merge.heldBack === 0 && outdatedIds.length === 0,
    isHeldBack: merge.heldBack > 0,
    isNarrow: plan.narrow !== undefined,
    failure,
    digestOf: (since) => mirror.contentDigest(merge.table, since),
  });
}

/** Rows that are read by id at most, unless they are a small part of the table: some 700 ids take a request. */
const fewRows = 1000;

/** Whether reading the whole table costs less than reading so many of its rows by id. */
function isMany(outdated: number, rows: number): boolean {
  return outdated > Math.max(fewRows, rows / 10);
}

/** Why the table does not hold all that Dataverse has, although it was merged. */
function failureOf(fetched: FetchedTable, { heldBack, rows }: TableMerge): Failure | undefined {
  if (heldBack === 0) return finalStart(fetched).uncompared;
  const error = `${heldBack} of ${rows} rows would be deleted, more than the limit allows. No row was deleted.`;
  return { error, hint: allowMassDeleteHint(fetched.name) };
}

function addReport(
  { reports }: RoundMerge,
  fetched: FetchedTable,
  merge: TableMerge,
  failure: Failure | undefined,
): void {
  const { added, updated, deleted, rows, heldBack, table } = merge;
  const report = fetchReport(fetched);
  const corrected = readingOf(finalStart(fetched)).corrected?.({
    ...merge,
    absent: heldBack > 0 ? 0 : merge.absent,
  });
  if (corrected !== undefined && corrected > 0) {
    report.corrected = corrected;
    report.reason += `. ${corrected} rows differed from those of Dataverse`;
  }
  if (merge.notes !== undefined && merge.notes.length > 0) {
    report.reason = withNotes(report.reason, merge.notes);
    report.notes = [...(report.notes ?? []), ...merge.notes];
  }
  Object.assign(report, failure);
  if (heldBack > 0) report.heldBack = heldBack;
  const unchanged = rows - added - updated;
  reports.push({ ...report, table: table.name, state: 'merged', added, updated, deleted, unchanged });
}

import { describeError, SkipTableError } from '../../errors.ts';
import { unlessDamaged } from '../../storage/document-store.ts';
import type { FoundOutcome, Labels } from '../../target/mirror-target.ts';
import { type LoadedState, sourceOf } from '../../target/state.ts';
import { paths } from '../documents/paths.ts';
import { type MergedRound, withNotes } from '../documents/report.ts';
import { areLabels } from '../documents/run-shape.ts';
import { trackingOf } from '../export/request-export.ts';
import { checkBasis } from '../round/check-basis.ts';
import type { FetchedRound } from '../round/fetched-round.ts';
import { noticedBefore, rereadIfMovedBack } from '../round/moved-back.ts';
import { isQuiet } from '../round/quiet-table.ts';
import { noteOtherOrganization, notePlanned, settleRereads } from '../round/rereads.ts';
import { logRows, type RoundMerge, type RoundResult, skippedReports } from '../round/round-merge.ts';
import { applyClosure } from './apply-closure.ts';
import { mergeTables } from './merge-tables.ts';

/** What the mirror keeps of the round that was committed last, so that a repeated merge finds its own work. */
interface Outcome {
  runId: string;
  merged: MergedRound;
}

/**
 * Merges a round into the mirror in one commit: rows, deletes, schema changes, cursors and log.
 * @throws ConflictError if another writer committed first; nothing of this merge is visible then
 */
export async function mergeIntoMirror(round: FetchedRound, loaded: LoadedState): Promise<RoundResult> {
  const { services, plan, catalog, tables } = round;
  const slices = tables.flatMap((table) => table.slices);
  const options = {
    loaded,
    runId: plan.runId,
    at: services.now().toISOString(),
    synced: Object.values(catalog.tables),
    tables: () =>
      tables.flatMap(({ failure, name }) =>
        failure !== undefined || isQuiet(round, loaded.state, name) ? [] : catalog.tables[name]!,
      ),
    recounts: true,
    tracking: await trackingOf(services),
    incomingBytes: slices.reduce((sum, slice) => sum + (slice.shardBytes ?? 0), 0),
  };
  const excluded = new Map<string, unknown>();
  for (;;) {
    const result = await services.mirror.transaction(options, async (mirror) => {
      const earlier = await mirror.findOutcome((outcome) => {
        const { runId, merged } = (outcome ?? {}) as Partial<Outcome>;
        return runId === plan.runId && merged?.round === plan.round;
      });
      const before = (earlier?.outcome as Outcome | undefined)?.merged;
      if (before !== undefined && earlier?.isComplete) return before;
      // After that: a state that this round has saved can be older than its plan, if the clock went back.
      // The state is that of the database that was opened: it may be another one by now.
      checkBasis(plan, mirror.state);
      const merge: RoundMerge = {
        ...round,
        mirror,
        at: options.at,
        reports: [],
        next: new Map(Object.entries(before?.next ?? {}).map(([name, ids]) => [name, new Set(ids)])),
        rereads: new Map(),
        signs: before?.movedBack === undefined ? [] : [before.movedBack],
        becameFiltered: new Set(),
        changed: new Set(),
      };
      const isConfigChanged = mirror.state.configured?.join() !== plan.configured.join();
      noteOtherOrganization(mirror.state, plan);
      // Later rounds have the same plan: what the first one changed stays.
      if (plan.round === 1) Object.assign(mirror.state, sourceOf(plan), { schemaReport: plan.schemaReport });
      await dropTables(merge);
      notePlanned(mirror.state.entities, plan);
      let failed = await mergeTables(merge, excluded);
      if (failed === undefined) {
        merge.movedBack = await rereadIfMovedBack(merge, merge.signs);
        await settleRereads(merge);
        merge.movedBack ??= await noticedBefore(merge);
        // Tables that came or went change which rows are needed, also if no row of theirs changed.
        if (isConfigChanged) mirror.state.closureOpen = true;
        failed = await applyClosure(merge, excluded);
      }
      // One table's error must not stop the others. The merge starts over without it.
      if (failed !== undefined) return void excluded.set(failed.name, failed.error);
      if (earlier !== undefined) addEarlier(merge, earlier);
      return commit(merge, isConfigChanged);
    });
    if (result === undefined) continue;
    if ('merged' in result) return result;
    // The round is in the mirror. Its process died before it saved the state, or is about to save it.
    const current = await services.mirror.loadState();
    await services.mirror.saveState(current);
    return { merged: result, state: current.state };
  }
}

/**
 * Adds the figures of tables that an earlier attempt has committed: merged again, they show no change. Where the mirror is
 * divided, a process can die between the commits of two parts.
 */
function addEarlier({ catalog, reports }: RoundMerge, earlier: FoundOutcome): void {
  for (const [index, report] of reports.entries()) {
    const table = catalog.tables[report.name];
    const outcome = table && (earlier.of(table) as Outcome | undefined);
    const before = outcome?.merged.entities.find(({ name }) => name === report.name);
    if (before === undefined || report.state !== 'merged' || before.state !== 'merged') continue;
    reports[index] = {
      ...report,
      reason: before.reason,
      corrected: before.corrected,
      added: before.added + report.added,
      updated: before.updated + report.updated,
      deleted: before.deleted + report.deleted,
      unchanged: Math.max(0, report.unchanged - before.added - before.updated),
    };
  }
}

/** Drops tables on request, in the first round: those that are not configured any more. */
async function dropTables({ services, plan, dropTables: names, mirror, changed }: RoundMerge): Promise<void> {
  for (const name of plan.round === 1 ? names : []) {
    if (!Object.hasOwn(mirror.state.entities, name) || plan.configured.includes(name)) continue;
    try {
      await mirror.dropTable(name);
    } catch (error) {
      if (!(error instanceof SkipTableError)) throw error;
      const { message, hint } = describeError(error);
      const text = `Table ${name} was not dropped: ${message}. ${hint ?? ''} Then ask for it again.`;
      services.telemetry.log('warn', text, { runId: plan.runId, entity: name });
      continue;
    }
    // Its name is free: the next run looks again at tables that were rejected for it.
    mirror.state.metadataVersion = undefined;
    changed.add(name);
  }
}

/**
 * Labels do not fail a run. Where another program has damaged them, those from before stay, and the next run reads them
 * from Dataverse again.
 */
async function readLabels(
  { services, plan: { runId }, mirror, at }: RoundMerge,
  digest: string,
): Promise<Labels | undefined> {
  const name = paths.choices(digest);
  const labels = await unlessDamaged(services.documents.claim<Labels>(name, areLabels));
  if (labels !== undefined) return labels;
  mirror.state.labelsAgainAt = at;
  const message = `${name} is missing or damaged. Labels stay as they were, and the next run reads them again.`;
  services.telemetry.log('warn', message, { runId });
  return undefined;
}

/** Commits the round; without a commit, where nothing in the mirror changed. */
async function commit(round: RoundMerge, isConfigChanged: boolean): Promise<RoundResult> {
  const { plan, catalog, mirror, reports } = round;
  const haveLabelsChanged = await mirror.writeLabels(catalog.choices, (digest) => readLabels(round, digest));
  mirror.state.choices = catalog.choices ?? mirror.state.choices;
  const merged: MergedRound = {
    round: plan.round,
    entities: [...reports, ...(plan.round === 1 ? skippedReports(catalog, plan) : [])],
    // A table that waits, or is read again, has its own read first. What it lacks after that shows then.
    next: Object.fromEntries(
      [...round.next]
        .filter(([name]) => !round.postponed.includes(name) && !round.rereads.has(name))
        .map(([name, ids]) => [name, [...ids].sort()]),
    ),
    movedBack: round.movedBack,
    reread: round.rereads.size > 0 ? Object.fromEntries(round.rereads) : undefined,
    postponed: [...round.postponed],
  };
  if (round.changed.size === 0 && !haveLabelsChanged && !isConfigChanged) {
    const saved = await mirror.saveUnchanged(logRows(plan, reports, round.at));
    if (saved !== undefined) return { merged: { ...merged, database: saved.database }, state: saved.state };
  }
  await reportUnlabelled(round);
  merged.danglingReferences = await mirror.countDangling(round.changed);
  const outcome: Outcome = { runId: plan.runId, merged };
  const log = logRows(plan, reports, round.at);
  const { database, state } = await mirror.commit({ log, outcome });
  return { merged: { ...merged, database }, state };
}

/** Tells of choice columns whose values have no labels anywhere, once for each column. */
async function reportUnlabelled({ services, plan, mirror, reports }: RoundMerge): Promise<void> {
  for (const { logicalName, table, column } of await mirror.findUnlabelled()) {
    const note = `Dataverse has no labels for the values of ${table}.${column}`;
    const message = `${note}. They are looked for again every day.`;
    services.telemetry.log('warn', message, { runId: plan.runId, entity: logicalName, column });
    const report = reports.find(({ name }) => name === logicalName);
    if (report === undefined) continue;
    report.reason = withNotes(report.reason, [note]);
    report.notes = [...(report.notes ?? []), note];
  }
}

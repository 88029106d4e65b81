import type { TableConfig } from '../../config/entities.ts';
import type { Closure } from '../../target/mirror-target.ts';
import { configuredTables, stateIn } from '../../target/state.ts';
import { writeStoredIds } from '../documents/stored-ids.ts';
import { rereadsOfRun } from '../round/rereads.ts';
import { allowMassDeleteHint, fetchNext, massDeleteLimitOf, type RoundMerge } from '../round/round-merge.ts';
import { ClosingReads, reportFor } from './closing-reads.ts';
import type { FailedMerge } from './merge-tables.ts';
import { requestedIds, UnresolvedIds } from './unresolved-ids.ts';

/**
 * Brings filtered tables to what other rows refer to: reads missing rows that are few, adds the ids of others to the next
 * round, and once nothing is missing removes the rows that nothing refers to.
 * @param excluded tables that cannot be merged
 * @returns a table that turned out to be one of these
 */
export async function applyClosure(
  round: RoundMerge,
  excluded: ReadonlyMap<string, unknown>,
): Promise<FailedMerge | undefined> {
  const configs = await filteredTables(round);
  const { mirror } = round;
  const { state } = mirror;
  // What was open outside of a narrow run stays so.
  const staysOpen = round.plan.narrow?.closureOpen === true;
  if (configs.size === 0) {
    if (round.plan.narrow === undefined) state.closureOpen &&= false;
    else if (staysOpen) state.closureOpen = true;
    return undefined;
  }
  const names = new Set(configs.keys());
  const absent = [...names].filter((name) => {
    const table = round.catalog.tables[name];
    return state.entities[name] === undefined || (table && stateIn(state, table) === undefined);
  });
  const tables = () => [
    ...configuredTables(state).filter(({ logicalName }) => !absent.includes(logicalName)),
    ...absent.flatMap((name) => round.catalog.tables[name] ?? []),
  ];
  const requested = await requestedIds(round);
  const unresolved = new UnresolvedIds(round, requested, tables);
  const reads = new ClosingReads(round, configs, excluded);
  let closure: Closure;
  let fresh: Map<string, string[]>;
  for (;;) {
    closure = await mirror.findClosure(tables(), names, round.becameFiltered);
    fresh = await unresolved.toAskFor(closure.missing, reads.asked);
    const result = await reads.read(fresh);
    if (typeof result === 'object') return result;
    if (!result) break;
    unresolved.changed(reads.changed);
    reads.changed.clear();
  }
  for (const [name, ids] of fresh) {
    // Its rows were read as those of a whole table, by another cursor. This run has not asked for their changes.
    if (round.becameFiltered.has(name)) fetchNext(round, name, closure.present.get(name) ?? []);
    if (ids.length > 0) fetchNext(round, name, ids);
  }
  const isUnanswered = unresolved.hasUnanswered(closure.missing);
  // Rows that are still to be read may refer to rows that nothing seems to refer to.
  const isOpen = round.next.size + round.rereads.size + round.postponed.length > 0;
  const failed = isUnanswered || (!isOpen && (await hasUnread(round)));
  const isRemovable = !isOpen && !failed;
  const isHeldBack = isRemovable && !(await removeUnneeded(round, closure.unneeded, configs));
  // A run that ends before its last round leaves this to the next one, even if nothing changes until then.
  const isLeftOver = failed && [...closure.unneeded.values()].some((ids) => ids.length > 0);
  state.closureOpen = staysOpen || isOpen || isHeldBack || isUnanswered || isLeftOver;
  if (isRemovable)
    unresolved.changed([...closure.unneeded].flatMap(([name, ids]) => (ids.length > 0 ? name : [])));
  await unresolved.remember(closure, reads.asked);
  await storeIds(round, names);
  return undefined;
}

/**
 * Whether a table could not be read in a round of this run, or is to be read again by the next run. A table that failed
 * stays unread for the rest of the run, also if some of its rows are read by id. Tables that Dataverse does not have any
 * more keep their rows, and no read will come.
 */
async function hasUnread(round: RoundMerge): Promise<boolean> {
  const { catalog, mirror } = round;
  const { failed } = await rereadsOfRun(round);
  return Object.keys(catalog.tables).some(
    (name) => failed.has(name) || mirror.state.entities[name]?.reread !== undefined,
  );
}

/** Stores which rows the filtered tables have. */
async function storeIds(round: RoundMerge, names: ReadonlySet<string>): Promise<void> {
  const { mirror, services, changed } = round;
  const { state } = mirror;
  for (const name of names) {
    const known = state.entities[name];
    if (known === undefined) continue;
    const isFiltered = known.strategy === 'filtered' && known.storedIds !== undefined;
    if (isFiltered && !changed.has(name)) continue;
    const ids = await mirror.rowIds(known.table);
    const digest = known.contentDigest && (await mirror.contentDigest(known.table));
    state.entities[name] = {
      ...known,
      strategy: 'filtered',
      rows: ids.length,
      storedIds: await writeStoredIds(services, ids),
      contentDigest: digest ?? known.contentDigest,
    };
  }
}

async function filteredTables({ services, plan }: RoundMerge): Promise<Map<string, TableConfig>> {
  const first = await services.documents.plan(plan.runId, 1);
  const configs = Object.values(first?.entities ?? {}).map(({ config }) => config);
  return new Map(configs.filter(({ filtered }) => filtered).map((config) => [config.name, config]));
}

/** Removes rows of filtered tables. @returns whether all were removed, none held back */
async function removeUnneeded(
  round: RoundMerge,
  unneeded: ReadonlyMap<string, string[]>,
  configs: ReadonlyMap<string, TableConfig>,
): Promise<boolean> {
  const { mirror, changed } = round;
  let areRemoved = true;
  for (const [name, ids] of unneeded) {
    if (ids.length === 0) continue;
    const config = configs.get(name)!;
    const known = mirror.state.entities[name]!;
    const { removed, heldBack } = await mirror.removeRows(known.table, ids, {
      history: config.history,
      massDeleteLimit: massDeleteLimitOf(round, config),
    });
    const report = reportFor(round, name, known);
    report.deleted += removed;
    report.unchanged = Math.max(0, report.unchanged - removed);
    if (removed > 0) changed.add(name);
    if (heldBack === 0) continue;
    areRemoved = false;
    report.heldBack = (report.heldBack ?? 0) + heldBack;
    report.error = `${heldBack} rows that no other row refers to would be deleted, more than the limit allows. None was deleted.`;
    report.hint = allowMassDeleteHint(name);
  }
  return areRemoved;
}

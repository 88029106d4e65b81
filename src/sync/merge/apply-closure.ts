import type { TableConfig } from '../../config/entities.ts';
import { configuredTables, type TableState } from '../../target/state.ts';
import type { TableReport } from '../documents/report.ts';
import { addFigures } from '../documents/slice.ts';
import { writeStoredIds } from '../documents/stored-ids.ts';
import { isRowsById } from '../strategies/rows-by-id.ts';
import { allowMassDeleteHint, fetchNext, massDeleteLimitOf, type RoundMerge } from './round-merge.ts';

/**
 * Brings filtered tables to what other rows refer to: adds the ids of missing rows to the next round, and once nothing
 * is missing removes the rows that nothing refers to.
 */
export async function applyClosure(round: RoundMerge): Promise<void> {
  const configs = await filteredTables(round);
  if (configs.size === 0) return;
  const { services, mirror } = round;
  const { state } = mirror;
  const names = new Set(configs.keys());
  const configured = configuredTables(state);
  const absent = [...names].filter((name) => state.entities[name] === undefined);
  const tables = [...configured, ...absent.flatMap((name) => round.catalog.tables[name] ?? [])];
  const closure = await mirror.findClosure(tables, names, round.becameFiltered);
  const requested = await requestedIds(round);
  for (const [name, ids] of closure.missing) {
    // Its rows were read as those of a whole table, by another cursor. This run has not asked for their changes.
    if (round.becameFiltered.has(name)) fetchNext(round, name, closure.present.get(name) ?? []);
    const fresh = ids.filter((id) => !requested.get(name)?.has(id));
    if (fresh.length > 0) fetchNext(round, name, fresh);
  }
  const failed = round.reports.some((report) => report.state === 'failed');
  // Rows that are still to be read may refer to rows that nothing seems to refer to.
  const isOpen = round.next.size + round.rereads.size + round.postponed.length > 0;
  const isRemovable = !isOpen && !failed;
  const isHeldBack = isRemovable && !(await removeUnneeded(round, closure.unneeded, configs));
  // A run that ends before its last round leaves this to the next one, even if nothing changes until then.
  const isIncomplete = [...closure.missing.values(), ...closure.unneeded.values()].some(
    (ids) => ids.length > 0,
  );
  state.closureOpen = isOpen || isHeldBack || (failed && isIncomplete);
  for (const name of names) {
    const known = state.entities[name];
    if (known === undefined) continue;
    const isFiltered = known.strategy === 'filtered' && known.storedIds !== undefined;
    if (isFiltered && !round.changed.has(name)) continue;
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

/** Ids that this run has requested by now. Those still missing do not exist in Dataverse. */
async function requestedIds({ services, plan }: RoundMerge): Promise<Map<string, Set<string>>> {
  const requested = new Map<string, Set<string>>();
  for (let n = 1; n <= plan.round; n++) {
    const { entities = {} } = (await services.documents.plan(plan.runId, n)) ?? {};
    for (const [name, { read }] of Object.entries(entities)) {
      if (isRowsById(read)) requested.set(name, new Set([...(requested.get(name) ?? []), ...read.ids]));
    }
  }
  return requested;
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
    report.error = `${heldBack} rows that no other row refers to would be deleted, more than the limit allows. None was deleted.`;
    report.hint = allowMassDeleteHint(name);
  }
  return areRemoved;
}

/** The report of a table in this round, which may not have read it. */
function reportFor({ reports }: RoundMerge, name: string, { table, rows }: TableState): TableReport {
  const existing = reports.find((one) => one.name === name);
  if (existing !== undefined) return existing;
  const figures = { ...addFigures([]), added: 0, updated: 0, deleted: 0, unchanged: rows };
  const report: TableReport = { name, table: table.name, strategy: 'filtered', state: 'merged', ...figures };
  reports.push(report);
  return report;
}

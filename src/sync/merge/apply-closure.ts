import type { TableConfig } from '../../config/entities.ts';
import { quoteIdentifier as quote } from '../../schema/sql.ts';
import { findClosure } from '../../target/sqlite/closure.ts';
import { digestFromDatabase } from '../../target/sqlite/database-digest.ts';
import { openHistory } from '../../target/sqlite/history.ts';
import { liveRows } from '../../target/sqlite/mirror-table.ts';
import { writeStoredIds } from '../documents/stored-ids.ts';
import { isRowsById } from '../strategies/rows-by-id.ts';
import { askFor, type OpenRound } from './open-round.ts';

/** Asks for related rows that filtered tables lack, and once nothing is missing removes those no longer needed. */
export async function closeRound(round: OpenRound): Promise<void> {
  const configs = await filteredTables(round);
  if (configs.size === 0) return;
  const filtered = new Set(configs.keys());
  const tables = Object.values(round.state.entities).map((entity) => entity.table);
  const known = new Set(tables.map((table) => table.logicalName));
  const absent = [...filtered].filter((name) => !known.has(name)).map((name) => round.catalog.tables[name]!);
  const closure = findClosure(
    round.db,
    [...tables, ...absent.filter((table) => table !== undefined)],
    filtered,
  );
  const asked = await askedBefore(round);
  for (const [name, ids] of closure.missing) {
    const fresh = ids.filter((id) => !asked.get(name)?.has(id));
    if (fresh.length > 0) askFor(round, name, fresh);
  }
  const failed = round.reports.some((report) => report.state === 'failed');
  // While a read is outstanding or failed, what seems unneeded may only seem so.
  if (round.next.size === 0 && !failed) removeUnneeded(round, closure.unneeded, configs);
  // A run that ends before its last round leaves this to the next one, even if that finds no change.
  const left = [...closure.missing.values(), ...closure.unneeded.values()].some((ids) => ids.length > 0);
  round.state.closureOpen = round.next.size > 0 || (failed && left);
  for (const name of filtered) {
    const state = round.state.entities[name];
    if (state === undefined) continue;
    const ids = round.db
      .all<{ id: string }>(
        `SELECT ${quote(state.table.primaryKey)} AS id FROM main.${quote(state.table.name)}${liveRows(state.table)} ORDER BY 1`,
      )
      .map((row) => row.id);
    const digest = digestFromDatabase(round.db, state.table);
    round.state.entities[name] = {
      ...state,
      strategy: 'filtered',
      rows: ids.length,
      storedIds: await writeStoredIds(round.services, ids),
      ...(state.contentDigest === undefined || digest === undefined ? {} : { contentDigest: digest }),
    };
  }
}

async function filteredTables(round: OpenRound): Promise<Map<string, TableConfig>> {
  const first = await round.services.documents.plan(round.plan.runId, 1);
  const plans = Object.values(first?.entities ?? {});
  return new Map(plans.filter(({ config }) => config.filtered).map(({ config }) => [config.name, config]));
}

/** Ids that this run asked Dataverse for already: those still missing do not exist there. */
async function askedBefore(round: OpenRound): Promise<Map<string, Set<string>>> {
  const asked = new Map<string, Set<string>>();
  for (let n = 1; n <= round.plan.round; n++) {
    const plan = await round.services.documents.plan(round.plan.runId, n);
    for (const [name, { read }] of Object.entries(plan?.entities ?? {})) {
      if (!isRowsById(read)) continue;
      const ids = asked.get(name) ?? new Set();
      for (const id of read.ids) ids.add(id);
      asked.set(name, ids);
    }
  }
  return asked;
}

function removeUnneeded(
  round: OpenRound,
  unneeded: ReadonlyMap<string, string[]>,
  configs: ReadonlyMap<string, TableConfig>,
): void {
  for (const [name, ids] of unneeded) {
    if (ids.length === 0) continue;
    const { table } = round.state.entities[name]!;
    round.changed.add(name);
    const history = configs.get(name)!.history ? openHistory(round.db, table, round.at) : undefined;
    const condition = `${quote(table.primaryKey)} IN (SELECT id FROM temp.unneeded)`;
    round.db.transaction(() => {
      round.db.exec('CREATE TEMP TABLE unneeded (id TEXT PRIMARY KEY)');
      for (const id of ids) round.db.run('INSERT INTO temp.unneeded VALUES (?)', [id]);
      history?.close(condition);
      round.db.run(`DELETE FROM main.${quote(table.name)} WHERE ${condition}`);
      round.db.exec('DROP TABLE temp.unneeded');
    });
    const report = round.reports.find((one) => one.name === name);
    if (report !== undefined) {
      report.deleted += ids.length;
      report.unchanged = Math.max(0, report.unchanged - ids.length);
    }
  }
}

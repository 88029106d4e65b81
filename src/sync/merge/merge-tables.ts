import { describeFailure, RetriableError } from '../../errors.ts';
import { quoteIdentifier as quote } from '../../schema/sql.ts';
import type { Table } from '../../schema/table.ts';
import { digestFromDatabase } from '../../target/sqlite/database-digest.ts';
import { type MergeCounts, mergeTable } from '../../target/sqlite/merge-table.ts';
import { applyMigration, migrationOf, tablesOf } from '../../target/sqlite/migrations.ts';
import { deletedAtColumn } from '../../target/sqlite/mirror-table.ts';
import { openShard } from '../documents/shards.ts';
import { readStoredIds } from '../documents/stored-ids.ts';
import { type FetchedTable, finalSlices, finalStart } from '../strategies/fetched-table.ts';
import { nextState } from '../strategies/next-state.ts';
import { readingOf } from '../strategies/registry.ts';
import type { ComparedKeys } from '../strategies/strategy.ts';
import { emptyReport } from './collect-round.ts';
import { askFor, type OpenRound } from './open-round.ts';

/** Merges every entity. @returns the first one that failed: the database must not be used any further then */
export async function mergeTables(
  round: OpenRound,
  fetched: readonly FetchedTable[],
  excluded: ReadonlyMap<string, unknown>,
): Promise<{ name: string; error: unknown } | undefined> {
  const before = tablesOf(round.state);
  const synced = Object.values(round.catalog.tables);
  for (const one of fetched) {
    const error = excluded.get(one.name);
    if (error !== undefined || one.failure !== undefined) {
      const failure = one.failure ?? describeFailure(error);
      round.reports.push({ ...emptyReport(one), state: 'failed', ...failure });
      continue;
    }
    try {
      await mergeOne(round, one, synced, before);
    } catch (fault) {
      // A passing fault of the storage concerns the whole merge, which is delivered again.
      if (fault instanceof RetriableError) throw fault;
      round.services.telemetry.log('error', `Merging ${one.name} failed; the others are merged without it.`, {
        runId: round.plan.runId,
        entity: one.name,
        ...describeFailure(fault),
      });
      return { name: one.name, error: fault };
    }
  }
  return undefined;
}

async function mergeOne(
  round: OpenRound,
  one: FetchedTable,
  synced: readonly Table[],
  before: readonly Table[],
): Promise<void> {
  const { runId } = round.plan;
  const known = round.state.entities[one.name];
  const migration = migrationOf(known, round.catalog.tables[one.name]!, synced, before);
  applyMigration(round.db, migration.table, migration, { runId, at: round.at });
  const { table } = migration;
  forgetMarks(round, known?.table, table);
  const start = finalStart(one);
  const reading = readingOf(start);
  const final = new Set(finalSlices(one));
  const shards = one.slices
    .filter((slice) => slice.shard !== undefined)
    .map((slice) => ({
      open: async () => (await openShard(round.services, slice.shard!)).db,
      final: final.has(slice),
    }));
  const { config } = one.plan;
  const allowed = await deletesAllowed(round, one.name);
  const counts = await mergeTable(round.db, table, shards, {
    runId,
    at: round.at,
    history: config.history,
    massDeleteLimit: allowed ? 1 : (config.massDeleteLimit ?? round.services.settings.sync.massDeleteLimit),
    complete: reading.isComplete(start.read),
    keys: await comparedKeys(round, reading.comparedKeys(start.read)),
  });
  if (counts.missed.length > 0) askFor(round, one.name, counts.missed);
  const { added, updated, deleted } = counts;
  if (migration.changes.length + added + updated + deleted > 0) round.changed.add(one.name);
  report(round, one, table, counts);
  round.state.entities[one.name] = await nextState(round.services.settings.sync, known, table, one, {
    rows: counts.rows,
    startedAt: round.plan.createdAt,
    at: round.at,
    isCurrent: counts.heldBack === 0 && counts.missed.length === 0,
    digestOf: async (since) => digestFromDatabase(round.db, table, since),
  });
}

/** Rows that were only marked as deleted go when `deletes: "mark"` is given up. */
function forgetMarks(round: OpenRound, before: Table | undefined, table: Table): void {
  const marks = (one: Table | undefined) => one?.columns.some((column) => column.name === deletedAtColumn);
  if (!marks(before) || marks(table)) return;
  round.db.run(`DELETE FROM main.${quote(table.name)} WHERE ${quote(deletedAtColumn)} IS NOT NULL`);
}

async function comparedKeys(
  round: OpenRound,
  keys: ComparedKeys,
): Promise<'all' | readonly string[] | undefined> {
  return typeof keys === 'object' ? readStoredIds(round.services, keys.list) : keys;
}

async function deletesAllowed(round: OpenRound, name: string): Promise<boolean> {
  const run = await round.services.documents.run(round.plan.runId);
  return run?.allowMassDelete?.includes(name) ?? false;
}

function report(round: OpenRound, one: FetchedTable, table: Table, counts: MergeCounts): void {
  const { added, updated, deleted, rows, heldBack } = counts;
  round.reports.push({
    ...emptyReport(one),
    table: table.name,
    state: 'merged',
    added,
    updated,
    deleted,
    unchanged: rows - added - updated,
    ...(heldBack === 0
      ? {}
      : {
          error: `${heldBack} of ${rows} rows would be deleted, more than the limit; nothing was deleted.`,
          hint: `If that is right, let it through once: POST /api/sync with {"allowMassDelete": ["${one.name}"]}.`,
        }),
  });
}

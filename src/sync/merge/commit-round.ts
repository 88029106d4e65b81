import type { SqliteDatabase } from '../../sqlite/sqlite-database.ts';
import {
  closureOpenMeta,
  createBookkeeping,
  forgetDroppedTables,
  readMeta,
  writeForeignKeys,
  writeLog,
  writeMeta,
  writeState,
} from '../../target/sqlite/bookkeeping.ts';
import { writeChoices } from '../../target/sqlite/choices-table.ts';
import {
  countDangling,
  type DanglingCounts,
  totalDangling,
} from '../../target/sqlite/dangling-references.ts';
import { tablesOf } from '../../target/sqlite/migrations.ts';
import type { Catalog } from '../documents/catalog.ts';
import { saveState } from '../documents/load-state.ts';
import { paths } from '../documents/paths.ts';
import type { RoundPlan } from '../documents/plan.ts';
import type { MergedRound } from '../documents/report.ts';
import type { SyncServices } from '../documents/services.ts';
import type { State } from '../documents/state.ts';
import type { StoredChoices } from '../plan/load-choices.ts';
import type { FetchedTable } from '../strategies/fetched-table.ts';
import { closeRound } from './apply-closure.ts';
import { logRow, skippedReports, sourceOf } from './idle-round.ts';
import { mergeTables } from './merge-tables.ts';
import { type OpenRound, openRound } from './open-round.ts';

/** The round that the database holds last, so that a merge whose report was lost is not done twice. */
const lastRound = 'last-round';

/**
 * Merges a round into the database and commits it: rows, deletes, schema changes, cursors and log in one step.
 * @throws ConflictError where another writer committed first; nothing of this merge is visible then
 */
export async function commitRound(
  services: SyncServices,
  plan: RoundPlan,
  catalog: Catalog,
  fetched: readonly FetchedTable[],
): Promise<MergedRound> {
  const excluded = new Map<string, unknown>();
  const slices = fetched.flatMap((one) => one.slices);
  const incoming = slices.reduce((sum, slice) => sum + (slice.shardBytes ?? 0), 0);
  for (;;) {
    const { db, etag } = await services.database.open(incoming);
    let kept = false;
    try {
      createBookkeeping(db);
      const done = committedBefore(db, plan);
      const round = await openRound(services, plan, catalog, { db, etag });
      if (done !== undefined) {
        await publishAgain(round);
        return done;
      }
      const failed = await mergeTables(round, fetched, excluded);
      if (failed !== undefined) {
        // One entity's fault must not hold back the others: begin again from the blob, without it.
        excluded.set(failed.name, failed.error);
        continue;
      }
      await closeRound(round);
      const merged = await commit(round);
      kept = true;
      return merged;
    } finally {
      if (!kept) db.close();
    }
  }
}

function committedBefore(db: SqliteDatabase, plan: RoundPlan): MergedRound | undefined {
  const stored = readMeta(db, lastRound);
  if (stored === undefined) return undefined;
  const last = JSON.parse(stored) as { runId: string; merged: MergedRound };
  return last.runId === plan.runId && last.merged.round === plan.round ? last.merged : undefined;
}

/** Counts of references without a target, by foreign key. */
const danglingMeta = 'dangling-references';

async function commit(round: OpenRound): Promise<MergedRound> {
  const { runId } = round.plan;
  const db = round.db;
  const state = round.state;
  await storeChoices(round);
  storeDangling(round);
  db.transaction(() => {
    for (const row of state.pendingLog) writeLog(db, row);
    for (const report of round.reports) writeLog(db, logRow(round.plan, report, round.at));
    for (const [name, entity] of Object.entries(state.entities)) writeState(db, name, entity, runId);
    forgetDroppedTables(db);
    writeForeignKeys(db, tablesOf(state));
    writeMeta(db, 'catalog', JSON.stringify(sourceOf(round.plan)));
    writeMeta(db, closureOpenMeta, String(state.closureOpen === true));
    writeMeta(db, lastRound, JSON.stringify({ runId, merged: mergedRound(round) }));
  });
  const check = db.get<{ quick_check: string }>('PRAGMA main.quick_check')?.quick_check;
  if (check !== 'ok') throw new Error(`The merged database fails PRAGMA quick_check: ${check}`);
  const bytes = db.export();
  const committed = await round.services.databaseBlob.commit(bytes, { etag: round.etag ?? 'absent' });
  const { blocks: _, ...rest } = committed;
  const database = { bytes: bytes.byteLength, ...rest };
  await publishState(round, {
    ...state,
    ...sourceOf(round.plan),
    databaseEtag: database.etag,
    databaseBytes: database.bytes,
  });
  round.services.database.putBack(db, database.etag);
  return { ...mergedRound(round), database };
}

async function storeChoices(round: OpenRound): Promise<void> {
  const { choices } = round.catalog;
  await writeChoices(round.db, tablesOf(round.state), choices, (digest) =>
    round.services.documents.claim<StoredChoices>(paths.choices(digest)),
  );
  if (choices !== undefined) round.state.choices = choices;
}

/** References without a target, of all tables; those between tables that did not change were counted before. */
function storeDangling(round: OpenRound): void {
  const before = readMeta(round.db, danglingMeta);
  const counts = countDangling(
    round.db,
    tablesOf(round.state),
    before === undefined ? undefined : (JSON.parse(before) as DanglingCounts),
    round.changed,
  );
  writeMeta(round.db, danglingMeta, JSON.stringify(counts));
  round.danglingReferences = totalDangling(counts);
}

/** For a round that is in the database although its report was lost: `state.json` is written again. */
async function publishAgain(round: OpenRound): Promise<void> {
  await publishState(round, {
    ...round.state,
    ...sourceOf(round.plan),
    ...(round.etag === undefined ? {} : { databaseEtag: round.etag }),
    databaseBytes: round.db.byteLength,
  });
}

async function publishState(round: OpenRound, state: State): Promise<void> {
  await saveState(round.services, { ...state, pendingLog: [] }, round.stateEtag);
}

function mergedRound(round: OpenRound): MergedRound {
  return {
    round: round.plan.round,
    entities: [...round.reports, ...(round.plan.round === 1 ? skippedReports(round.catalog) : [])],
    ...(round.danglingReferences === undefined ? {} : { danglingReferences: round.danglingReferences }),
    next: Object.fromEntries([...round.next].map(([name, ids]) => [name, [...ids].sort()])),
  };
}

import type { CheckResult, CheckStep, Miscount } from '../mirror-check.ts';
import { configuredTables, type State } from '../state.ts';
import type { Session } from './connection/session.ts';
import { findDangling } from './rows/dangling-references.ts';
import { countRows } from './rows/live-rows.ts';

/**
 * Checks the row counts that are kept and the references, in one step. PostgreSQL checks its own pages
 * (postgresql.org: amcheck, data checksums).
 */
export async function checkMirror(session: Session, state: State): Promise<CheckStep> {
  const { databaseEtag: etag = '', databaseBytes: bytes = 0 } = state;
  const tables = configuredTables(state);
  const miscounted: Miscount[] = [];
  for (const table of tables) {
    const counted = await countRows(session, table);
    const kept = state.entities[table.logicalName]!.rows;
    if (counted !== kept) miscounted.push({ table: table.logicalName, kept, counted });
  }
  const foreignKeys = await findDangling(session, tables);
  const result: CheckResult = {
    database: { etag, bytes },
    ...{
      tables: tables.length,
      pages: 0,
      freePages: 0,
      faults: [],
      faultCount: 0,
      miscounted,
      uncounted: [],
    },
    danglingReferences: foreignKeys.reduce((sum, { count }) => sum + count, 0),
    foreignKeys,
  };
  const total = tables.length;
  return {
    progress: {
      ...{ phase: 'references', catchUps: 0, hasCheckpoint: false },
      bytes: { done: bytes, total: bytes },
      references: { done: total, total },
    },
    result,
  };
}

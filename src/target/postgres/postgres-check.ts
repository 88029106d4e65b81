import type {
  CheckOptions,
  CheckProgress,
  CheckResult,
  CheckStep,
  ReferenceCounts,
} from '../mirror-check.ts';
import { configuredTables, type State } from '../state.ts';
import type { Session } from './connection/session.ts';
import { findDangling } from './rows/dangling-references.ts';
import { countRows } from './rows/live-rows.ts';

const nothingYet: ReferenceCounts = { done: [], dangling: {}, keys: {}, miscounted: [], uncounted: [] };

/**
 * Checks the row counts that are kept and the references, one table after the other until the time is over. PostgreSQL
 * checks its own pages (postgresql.org: amcheck, data checksums).
 * @param before what the step before returned; undefined for the first one
 */
export async function checkMirror(
  session: Session,
  state: State,
  before: CheckProgress | undefined,
  { isTimeOver }: Pick<CheckOptions, 'isTimeOver'>,
): Promise<CheckStep> {
  const { databaseEtag: etag = '', databaseBytes: bytes = 0 } = state;
  const tables = configuredTables(state);
  const counted: ReferenceCounts = structuredClone(before?.counted ?? nothingYet);
  const done = new Set(counted.done);
  for (const table of tables) {
    const { logicalName } = table;
    if (done.has(logicalName)) continue;
    if (done.size > counted.done.length && isTimeOver()) break;
    // The state is of the same moment as the rows.
    const rows = await countRows(session, table);
    const kept = state.entities[logicalName]!.rows;
    if (rows !== kept) counted.miscounted.push({ table: logicalName, kept, counted: rows });
    for (const key of await findDangling(session, tables, [table])) {
      counted.keys[`${key.table}.${key.column}>${key.targets.join()}`] = key;
    }
    done.add(logicalName);
  }
  // Tables that are no longer configured do not count.
  const left = tables.filter(({ logicalName }) => !done.has(logicalName)).length;
  const progress: CheckProgress = {
    ...{ phase: 'references', catchUps: 0, hasCheckpoint: false },
    bytes: { done: bytes, total: bytes },
    references: { done: tables.length - left, total: tables.length },
    counted: { ...counted, done: [...done] },
  };
  if (left > 0) return { progress };
  const foreignKeys = Object.values(counted.keys);
  const result: CheckResult = {
    database: { etag, bytes },
    ...{ tables: tables.length, pages: 0, freePages: 0, faults: [], faultCount: 0, uncounted: [] },
    miscounted: counted.miscounted,
    danglingReferences: foreignKeys.reduce((sum, { count }) => sum + count, 0),
    foreignKeys,
  };
  return { progress, result };
}

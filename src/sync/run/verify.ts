import type { DanglingReport } from '../../target/mirror-target.ts';
import { type Checks, checkStatus } from '../check/check-status.ts';
import type { SyncServices } from '../documents/services.ts';

/**
 * What `GET /api/verify` answers. The foreign keys with the most references without a target come first. Of a mirror that
 * is too large to be searched at once, everything but `check` and `checked` is that of the last complete check, and absent
 * before there was one.
 */
export interface VerifyReport extends Partial<DanglingReport>, Checks {
  /** References whose target is absent, in all. A complete mirror has none. */
  danglingReferences?: number;
  seconds?: number;
}

/**
 * Searches the mirror for references whose target is absent: rows that Dataverse does not show to the application user,
 * or that were deleted while others refer to them. Says what checks of the whole mirror found.
 * @returns undefined while there is no mirror
 */
export async function verify(services: SyncServices): Promise<VerifyReport | undefined> {
  const began = performance.now();
  const [report, checks] = await Promise.all([services.mirror.findDangling(), checkStatus(services)]);
  if (report === undefined) return undefined;
  if (report === 'large') return { ...lastCheck(checks), ...checks };
  const foreignKeys = report.foreignKeys.toSorted((a, b) => b.count - a.count);
  return {
    database: report.database,
    tables: report.tables,
    danglingReferences: foreignKeys.reduce((sum, key) => sum + key.count, 0),
    foreignKeys,
    seconds: (performance.now() - began) / 1000,
    ...checks,
  };
}

function lastCheck({ checked }: Checks): Omit<VerifyReport, keyof Checks> {
  if (checked === null) return {};
  const { database, tables, danglingReferences, foreignKeys, startedAt, finishedAt } = checked;
  const seconds = (Date.parse(finishedAt) - Date.parse(startedAt)) / 1000;
  return { database, tables, danglingReferences, foreignKeys, seconds };
}

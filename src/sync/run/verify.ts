import type { DanglingReport } from '../../target/mirror-target.ts';
import type { SyncServices } from '../documents/services.ts';

/** What `GET /api/verify` answers. The foreign keys with the most references without a target come first. */
export interface VerifyReport extends DanglingReport {
  /** References whose target is absent, in all. A complete mirror has none. */
  danglingReferences: number;
  seconds: number;
}

/**
 * Searches the mirror for references whose target is absent: rows that Dataverse does not show to the application user,
 * or that were deleted while others refer to them.
 * @returns undefined while there is no mirror
 */
export async function verify(services: SyncServices): Promise<VerifyReport | undefined> {
  const began = performance.now();
  const report = await services.mirror.findDangling();
  if (report === undefined) return undefined;
  const foreignKeys = report.foreignKeys.toSorted((a, b) => b.count - a.count);
  return {
    database: report.database,
    tables: report.tables,
    danglingReferences: foreignKeys.reduce((sum, key) => sum + key.count, 0),
    foreignKeys,
    seconds: (performance.now() - began) / 1000,
  };
}

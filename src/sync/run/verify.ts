import { readStateTable } from '../../target/sqlite/bookkeeping.ts';
import { type DanglingKey, findDangling } from '../../target/sqlite/dangling-references.ts';
import { tablesOf } from '../../target/sqlite/migrations.ts';
import type { SyncServices } from '../documents/services.ts';
import { emptyState } from '../documents/state.ts';

/** What `GET /api/verify` answers. */
export interface VerifyReport {
  /** The state of the database that was looked at. */
  database: { etag: string; bytes: number };
  tables: number;
  /** References whose target is absent, in all; none in a mirror that is whole. */
  danglingReferences: number;
  /** The foreign keys they stand in, those with the most first. */
  foreignKeys: DanglingKey[];
  seconds: number;
}

/**
 * Looks for references whose target is absent in the database as it stands in Blob storage.
 * Absent are rows that Dataverse does not show to the application user, or that were deleted without their references.
 * @returns undefined where there is no database yet
 */
export async function verify(services: SyncServices): Promise<VerifyReport | undefined> {
  const began = performance.now();
  const { db, etag } = await services.database.open();
  if (etag === undefined) {
    db.close();
    return undefined;
  }
  try {
    const tables = tablesOf({ ...emptyState(), ...readStateTable(db) });
    const foreignKeys = findDangling(db, tables).sort((a, b) => b.count - a.count);
    return {
      database: { etag, bytes: db.byteLength },
      tables: tables.length,
      danglingReferences: foreignKeys.reduce((sum, key) => sum + key.count, 0),
      foreignKeys,
      seconds: (performance.now() - began) / 1000,
    };
  } finally {
    services.database.putBack(db, etag);
  }
}

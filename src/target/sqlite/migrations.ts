import { type Migration, migrationSql, newTableMigration } from '../../schema/migration.ts';
import type { Table } from '../../schema/table.ts';
import type { SqliteDatabase } from '../../sqlite/sqlite-database.ts';
import { hasMarks } from './mirror-table.ts';
import { removeMarkedRows } from './rows/delete-rows.ts';

/** What brings one table from the schema in the database to that of the catalog; no changes if they are equal. */
export function migrationOf(
  before: Table | undefined,
  table: Table,
  synced: readonly Table[],
  syncedBefore: readonly Table[],
): Migration {
  return before === undefined
    ? newTableMigration(table, { synced })
    : migrationSql(before, table, { synced, syncedBefore });
}

/** Applies a migration and records each change in `_sync_schema_changes`. */
export function applyMigration(
  db: SqliteDatabase,
  before: Table | undefined,
  migration: Migration,
  context: { runId: string; at: string },
): void {
  const { table } = migration;
  db.transaction(() => {
    for (const statement of migration.statements) db.exec(statement);
    for (const change of migration.changes) {
      db.run(
        `INSERT INTO _sync_schema_changes (at, run_id, table_name, column_name, change, detail)
         VALUES (?, ?, ?, ?, ?, ?)`,
        [context.at, context.runId, table.name, change.column ?? null, change.change, change.detail],
      );
    }
    // `deletes: "mark"` was given up: rows that were only marked are deleted now.
    if (before !== undefined && hasMarks(before) && !hasMarks(table)) {
      removeMarkedRows(db, table);
    }
  });
}

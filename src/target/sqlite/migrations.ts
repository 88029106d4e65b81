import { type Migration, migrationSql, newTableMigration } from '../../schema/migration.ts';
import type { Table } from '../../schema/table.ts';
import type { SqliteDatabase } from '../../sqlite/sqlite-database.ts';
import type { State, TableState } from '../../sync/documents/state.ts';

/** The tables of the state: what stands in the database. */
export function tablesOf(state: State): Table[] {
  return Object.values(state.entities).map((entity) => entity.table);
}

/** What brings one entity's table from the state's schema to the catalog's; no changes where they are equal. */
export function migrationOf(
  known: TableState | undefined,
  table: Table,
  synced: readonly Table[],
  syncedBefore: readonly Table[],
): Migration {
  return known === undefined
    ? newTableMigration(table, { synced })
    : migrationSql(known.table, table, { synced, syncedBefore });
}

/** Why an entity must be read again in full because of its schema; undefined where it need not. */
export function rereadReason(migration: Migration): string | undefined {
  const reasons = migration.changes.filter((change) => change.needsReread).map((change) => change.detail);
  return reasons.length === 0 ? undefined : reasons.join(', ');
}

/** Applies a migration and notes each change in `_sync_schema_changes`. */
export function applyMigration(
  db: SqliteDatabase,
  table: Table,
  migration: Migration,
  context: { runId: string; at: string },
): void {
  db.transaction(() => {
    for (const statement of migration.statements) db.exec(statement);
    for (const change of migration.changes) {
      db.run(
        `INSERT INTO _sync_schema_changes (at, run_id, table_name, column_name, change, detail)
         VALUES (?, ?, ?, ?, ?, ?)`,
        [context.at, context.runId, table.name, change.column ?? null, change.change, change.detail],
      );
    }
  });
}

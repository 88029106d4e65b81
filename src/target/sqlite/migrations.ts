import { declaredKey, type Migration, migrationSql, newTableMigration } from '../../schema/migration.ts';
import { quoteIdentifier as quote } from '../../schema/sql.ts';
import type { Table } from '../../schema/table.ts';
import type { SqliteDatabase } from '../../sqlite/sqlite-database.ts';
import { hasMarks, historyName } from '../common/mirror-table.ts';
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
    // `deletes: "mark"` was given up: rows that were only marked are deleted now, and the marks go.
    if (before !== undefined && hasMarks(before) && !hasMarks(table)) removeMarkedRows(db, before);
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

/** The foreign keys that the table declares, as the database has them. */
export function declaredKeys(db: SqliteDatabase, { name }: Table): string[] {
  return db
    .all<{ from: string; table: string; to: string }>(`PRAGMA main.foreign_key_list(${quote(name)})`)
    .map(({ from, table, to }) => declaredKey(from, table, to));
}

/** The tables of the sync with rows about one table. */
const bookkept = [
  '_sync_state',
  '_sync_foreign_keys',
  '_sync_deleted',
  '_sync_tables',
  '_sync_columns',
  '_choices',
];

/**
 * Drops a table with everything that belongs to it, except the log, and records it in `_sync_schema_changes`.
 * @param others the tables that stay: one may be called like a history table or view of this one
 * @param context `keepsHistory`: the table goes on in another database
 */
export function dropTable(
  db: SqliteDatabase,
  table: Table,
  others: readonly Table[],
  context: { runId: string; at: string; keepsHistory?: boolean },
): void {
  const { name } = table;
  const { keepsHistory = false } = context;
  const kept = new Set(others.map((other) => other.name.toLowerCase()));
  const isOwn = (other: string) => !kept.has(other.toLowerCase());
  db.transaction(() => {
    for (const view of [`${name}_labelled`, `${name}_choice_values`].filter(isOwn)) {
      db.exec(`DROP VIEW IF EXISTS main.${quote(view)}`);
    }
    for (const own of [name, ...(keepsHistory ? [] : [historyName(table)])].filter(isOwn)) {
      db.exec(`DROP TABLE IF EXISTS main.${quote(own)}`);
    }
    for (const own of bookkept) {
      if (db.hasTable(own)) db.run(`DELETE FROM main.${quote(own)} WHERE table_name = ?`, [name]);
    }
    db.run(
      `INSERT INTO _sync_schema_changes (at, run_id, table_name, column_name, change, detail)
       VALUES (?, ?, ?, NULL, 'dropped-table', ?)`,
      [
        ...[context.at, context.runId, name],
        `table ${name} was dropped ${keepsHistory ? 'because another database has it' : 'on request'}`,
      ],
    );
  });
}

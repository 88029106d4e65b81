import { createHash } from 'node:crypto';
import { type FileColumn, fileColumns } from '../../../schema/file-columns.ts';
import { quoteIdentifier as quote } from '../../../schema/sql.ts';
import { entitySetOf, type Table } from '../../../schema/table.ts';
import type { SqliteDatabase } from '../../../sqlite/sqlite-database.ts';
import type { FetchedFile, WantedFile } from '../../mirror-target.ts';

/**
 * One row for each file or image whose content was requested. `file_id` is the id of the fetched content: if the row has
 * another one, the content changed since then. `blob` is NULL if there is no content or the request failed.
 */
const createFiles = `CREATE TABLE IF NOT EXISTS _files (
  table_name TEXT NOT NULL,
  row_id TEXT NOT NULL,
  column_name TEXT NOT NULL,
  file_id TEXT NOT NULL,
  name TEXT,
  blob TEXT,
  bytes INTEGER NOT NULL,
  fetched_at TEXT NOT NULL,
  error TEXT,
  PRIMARY KEY (table_name, row_id, column_name)
)`;

export function createFileTable(db: SqliteDatabase): void {
  db.exec(createFiles);
}

/** The files whose id differs from the one in `_files`, in a fixed order. */
export function wantedFiles(db: SqliteDatabase, tables: readonly Table[]): WantedFile[] {
  return tables.flatMap((table) =>
    fileColumns(table).flatMap((column) =>
      fileIds(db, table, column)
        .filter(({ id, known }) => id !== known)
        .map(({ row, id, name }) => ({
          table: table.name,
          entitySet: entitySetOf(table),
          rowId: row,
          column: column.column,
          kind: column.kind,
          fileId: id,
          name,
        })),
    ),
  );
}

/** The files in `_files` that no row refers to any more. */
export function unwantedFiles(
  db: SqliteDatabase,
  tables: readonly Table[],
): { table: string; rowId: string; column: string; blob: string | null }[] {
  const wanted = new Set(
    tables.flatMap((table) =>
      fileColumns(table).flatMap((column) =>
        fileIds(db, table, column).map(({ row }) => `${table.name}/${row}/${column.column}`),
      ),
    ),
  );
  return db
    .all<{ table: string; rowId: string; column: string; blob: string | null }>(
      'SELECT table_name AS "table", row_id AS rowId, column_name AS "column", blob FROM main._files',
    )
    .filter(({ table, rowId, column }) => !wanted.has(`${table}/${rowId}/${column}`));
}

export function writeFile(db: SqliteDatabase, file: FetchedFile, at: string): void {
  const { table, rowId, column, fileId, name, blob, bytes, error } = file;
  db.run(
    `INSERT INTO main._files (table_name, row_id, column_name, file_id, name, blob, bytes, fetched_at, error)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET file_id = excluded.file_id, name = excluded.name,
     blob = excluded.blob, bytes = excluded.bytes, fetched_at = excluded.fetched_at, error = excluded.error`,
    [table, rowId, column, fileId, name, blob, bytes, at, error],
  );
}

export function removeFile(
  db: SqliteDatabase,
  { table, rowId, column }: { table: string; rowId: string; column: string },
): void {
  db.run('DELETE FROM main._files WHERE table_name = ? AND row_id = ? AND column_name = ?', [
    table,
    rowId,
    column,
  ]);
}

/** Every file in one column of a table, with the id of the fetched content. */
function fileIds(
  db: SqliteDatabase,
  table: Table,
  { column, kind, idColumn, nameColumn }: FileColumn,
): { row: string; id: string; name: string | null; known: string | null }[] {
  const name = nameColumn === undefined ? 'NULL' : `t.${quote(nameColumn)}`;
  // Read only if needed: the thumbnails of many rows take much memory.
  const image =
    kind === 'image' ? `CASE WHEN t.${quote(idColumn)} IS NULL THEN t.${quote(column)} END` : 'NULL';
  return db
    .all<{
      row: string;
      id: string | null;
      name: string | null;
      image: Uint8Array | null;
      known: string | null;
    }>(
      `SELECT t.${quote(table.primaryKey)} AS row, t.${quote(idColumn)} AS id, ${name} AS name, ${image} AS image,
         f.file_id AS known FROM main.${quote(table.name)} AS t LEFT JOIN main._files AS f
         ON f.table_name = ? AND f.row_id = t.${quote(table.primaryKey)} AND f.column_name = ?
       WHERE t.${quote(column)} IS NOT NULL ORDER BY 1`,
      [table.name, column],
    )
    .map(({ row, id, name: fileName, image: thumbnail, known }) => ({
      row,
      // The hash of its thumbnail identifies an image without an id.
      id:
        id ??
        createHash('sha256')
          .update(thumbnail ?? '')
          .digest('hex')
          .slice(0, 32),
      name: fileName,
      known,
    }));
}

import { createHash } from 'node:crypto';
import { type FileColumn, fileColumns } from '../../../schema/file-columns.ts';
import { quoteIdentifier as quote } from '../../../schema/sql.ts';
import { entitySetOf, type Table } from '../../../schema/table.ts';
import type { FetchedFile, FileComparison, FileKey, StoredFile, WantedFile } from '../../mirror-target.ts';
import type { Session } from '../connection/session.ts';

interface FileOfRow {
  row: string;
  id: string;
  name: string | null;
  /** The id of the content that was fetched. */
  known: string | null;
}

/** Compares the files that rows of these tables show with those in `_files`. */
export async function compareFiles(session: Session, tables: readonly Table[]): Promise<FileComparison> {
  const wanted: WantedFile[] = [];
  const shown = new Set<string>();
  for (const table of tables) {
    for (const column of fileColumns(table)) {
      for (const { row, id, name, known } of await filesOf(session, table, column)) {
        shown.add(`${table.name}/${row}/${column.column}`);
        if (id === known) continue;
        const entitySet = entitySetOf(table);
        const { column: named, kind } = column;
        wanted.push({ table: table.name, entitySet, rowId: row, column: named, kind, fileId: id, name });
      }
    }
  }
  const stored = await session.all(
    `SELECT table_name, row_id, column_name, blob FROM ${session.name('_files')} ORDER BY 1, 2, 3`,
  );
  const unwanted = stored
    .map(
      (row): StoredFile => ({
        table: row['table_name']!,
        rowId: row['row_id']!,
        column: row['column_name']!,
        blob: row['blob']!,
      }),
    )
    .filter(({ table, rowId, column }) => !shown.has(`${table}/${rowId}/${column}`));
  return { wanted, unwanted };
}

/** Every file in one column of a table, with the id of the fetched content. */
async function filesOf(
  session: Session,
  table: Table,
  { column, kind, idColumn, nameColumn }: FileColumn,
): Promise<FileOfRow[]> {
  const name = nameColumn === undefined ? 'NULL::text' : `t.${quote(nameColumn)}`;
  // Read only if needed: the thumbnails of many rows take much memory.
  const id = quote(idColumn);
  const image =
    kind === 'image' ? `CASE WHEN t.${id} IS NULL THEN encode(t.${quote(column)}, 'hex') END` : 'NULL';
  const rows = await session.all(
    `SELECT t.${quote(table.primaryKey)}::text COLLATE "C" AS row, t.${id}::text AS id, ${name} AS name, ${image} AS image,
       f.file_id AS known FROM ${session.name(table.name)} t LEFT JOIN ${session.name('_files')} f
       ON f.table_name = $1 AND f.row_id = t.${quote(table.primaryKey)}::text AND f.column_name = $2
     WHERE t.${quote(column)} IS NOT NULL ORDER BY 1`,
    [table.name, column],
  );
  return rows.map((row) => ({
    row: row['row']!,
    // The hash of its thumbnail identifies an image without an id.
    id: row['id'] ?? hashOf(Buffer.from(row['image'] ?? '', 'hex')),
    name: row['name'] ?? null,
    known: row['known'] ?? null,
  }));
}

function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 32);
}

/** @param at when they were fetched: ISO 8601, UTC */
export async function writeFiles(
  session: Session,
  fetched: readonly FetchedFile[],
  removed: readonly FileKey[],
  at: string,
): Promise<void> {
  const files = session.name('_files');
  for (const { table, rowId, column } of removed) {
    const key = 'table_name = $1 AND row_id = $2 AND column_name = $3';
    await session.run(`DELETE FROM ${files} WHERE ${key}`, [table, rowId, column]);
  }
  for (const { table, rowId, column, fileId, name, blob, bytes, error } of fetched) {
    await session.run(
      `INSERT INTO ${files} (table_name, row_id, column_name, file_id, name, blob, bytes, fetched_at, error)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (table_name, row_id, column_name) DO UPDATE
       SET file_id = excluded.file_id, name = excluded.name, blob = excluded.blob, bytes = excluded.bytes,
         fetched_at = excluded.fetched_at, error = excluded.error`,
      [table, rowId, column, fileId, name, blob, bytes, at, error],
    );
  }
}

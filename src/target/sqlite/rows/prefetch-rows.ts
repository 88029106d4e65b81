import type { Table } from '../../../schema/table.ts';
import { type Pages, prefetchIndex, prefetchTable } from '../../../sqlite/paged/page-prefetch.ts';
import type { SqliteDatabase } from '../../../sqlite/sqlite-database.ts';

/** Loads the pages that hold rows and their tombstones, together. Without it, they are loaded when SQLite asks for them. */
export function prefetchRows(db: SqliteDatabase, pages: Pages, table: Table, ids: readonly string[]): void {
  if (ids.length === 0) return;
  try {
    const keys = ids.map((id) => Buffer.from(id));
    const index = rootOf(db, `sqlite_autoindex_${table.name}_1`);
    const rows =
      index === undefined
        ? []
        : prefetchIndex(
            pages,
            index,
            keys.map((key) => [key]),
          );
    const root = rootOf(db, table.name);
    if (root !== undefined) prefetchTable(pages, root, rows);
    const name = Buffer.from(table.name);
    const tombstones = rootOf(db, 'sqlite_autoindex__sync_deleted_1');
    if (tombstones !== undefined)
      prefetchIndex(
        pages,
        tombstones,
        keys.map((key) => [name, key]),
      );
  } catch (error) {
    // Of a damaged page, which SQLite will complain about.
    if (!(error instanceof RangeError || error instanceof TypeError)) throw error;
  }
}

function rootOf(db: SqliteDatabase, name: string): number | undefined {
  const sql = 'SELECT rootpage AS page FROM main.sqlite_master WHERE name = ? AND rootpage > 0';
  return db.get<{ page: number }>(sql, [name])?.page;
}

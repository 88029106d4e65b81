import { quoteIdentifier as quote } from '../../../schema/sql.ts';
import type { Table } from '../../../schema/table.ts';
import type { SqliteDatabase } from '../../../sqlite/sqlite-database.ts';
import type { ChangedRow, RowsPage, RowsRequest, RowValue } from '../../changes.ts';
import { exportedColumns } from '../../common/exported-columns.ts';
import { andLive } from '../../common/mirror-table.ts';
import { hasChanges } from '../tables/changes-table.ts';

/** Behind every id. */
const lastId = '\u{10ffff}';

type Row = { id: string; place: number; isLive: number } & Record<string, RowValue>;

/**
 * One page of the rows of a table, for an export.
 * @param prefetch brings rows into memory, where that takes time
 * @returns undefined if the pages before were of another arrangement of the rows
 */
export function readRows(
  db: SqliteDatabase,
  table: Table,
  { rows, from, until, maxRows }: RowsRequest,
  prefetch?: (ids: readonly string[]) => void,
): RowsPage | undefined {
  const columns = exportedColumns(table);
  const values = columns.map(({ name, reading }, index) => {
    const column = `t.${quote(name)}`;
    return `${reading === 'integer' ? `CAST(${column} AS TEXT)` : column} AS c${index}`;
  });
  const key = `t.${quote(table.primaryKey)}`;
  const isLive = `(${key} IS NOT NULL${andLive(table, 't')})`;
  const changedRow = (row: Row): ChangedRow =>
    row.isLive === 0 ? { id: row.id } : { id: row.id, values: columns.map((_, index) => row[`c${index}`]!) };
  if ('changed' in rows) {
    const { after, upTo } = rows.changed;
    const parameters = [table.logicalName, after, upTo, from ?? '*', until ?? lastId, maxRows];
    const changed = `SELECT id FROM _sync_changed
      WHERE entity = ? AND generation > ? AND generation <= ? AND id > ? AND id <= ? ORDER BY id LIMIT ?`;
    if (prefetch !== undefined) prefetch(db.all<{ id: string }>(changed, parameters).map(({ id }) => id));
    const found = db.all<Row>(
      `SELECT c.id AS id, ${isLive} AS isLive, ${values.join(', ')} FROM (${changed}) c
       LEFT JOIN main.${quote(table.name)} t ON ${key} = c.id ORDER BY c.id`,
      parameters,
    );
    const page = { table, rows: found.map(changedRow) };
    return found.length < maxRows ? page : { ...page, next: found.at(-1)!.id };
  }
  // In the order of their places in the file. A table that is built again has other places, and can have the root of an earlier one.
  const arrangement = arrangementOf(db, table);
  const [fromRoot, fromSchema, fromPlace] = (from ?? `${arrangement} 0`).split(' ');
  if (`${fromRoot} ${fromSchema}` !== arrangement) return undefined;
  const last = until === undefined ? Number.MAX_SAFE_INTEGER : Number(until.split(' ')[2]);
  // Rows that changed since come later. Without this, one that was deleted and came back could be read twice.
  const isLater = hasChanges(db)
    ? `AND ${key} NOT IN (SELECT id FROM _sync_changed WHERE entity = ? AND generation > ?)`
    : '';
  const later = isLater === '' ? [] : [table.logicalName, rows.all.upTo];
  const found = db.all<Row>(
    `SELECT ${key} AS id, t.rowid AS place, 1 AS isLive, ${values.join(', ')} FROM main.${quote(table.name)} t
     WHERE t.rowid > ? AND t.rowid <= ? ${andLive(table, 't')} ${isLater} ORDER BY t.rowid LIMIT ?`,
    [Number(fromPlace), last, ...later, maxRows],
  );
  const page = { table, rows: found.map(changedRow) };
  return found.length < maxRows ? page : { ...page, next: `${arrangement} ${found.at(-1)!.place}` };
}

/** The same text as long as no row has got another place: SQLite counts every change of the schema. */
function arrangementOf(db: SqliteDatabase, table: Table): string {
  const { root } = db.get<{ root: number }>(
    "SELECT rootpage AS root FROM main.sqlite_master WHERE type = 'table' AND name = ?",
    [table.name],
  )!;
  const { schema_version: version } = db.get<{ schema_version: number }>('PRAGMA main.schema_version')!;
  return `${root} ${version}`;
}

import { isLookup, lookupTypeColumn } from './foreign-keys.ts';
import type { Column, ColumnReading, ForeignKey, SqliteType, Table } from './table.ts';
import { unknownEdmType } from './type-change.ts';

/** The little of a SQLite database that reading its schema takes. */
export interface SqliteReader {
  all(sql: string, params?: (string | number)[]): Record<string, unknown>[];
}

export interface SqliteReadOptions {
  /** Logical names by the names of the SQLite tables; where one is absent the table's own name stands for it. */
  logicalNames?: ReadonlyMap<string, string> | undefined;
}

/** Dates, texts and JSON share a storage class, so what SQLite says of a column is only this much. */
const readings: Readonly<Record<SqliteType, ColumnReading>> = {
  INTEGER: 'integer',
  REAL: 'real',
  TEXT: 'text',
  BLOB: 'base64',
};

/**
 * The mirrored tables as they stand in a database, for when nothing else remembers them. Their types are those of
 * SQLite, their foreign keys the declared ones. Bookkeeping tables (`_…`), histories, and tables without a single
 * key column are left out.
 */
export function tablesFromSqlite(database: SqliteReader, options: SqliteReadOptions = {}): Table[] {
  const names = database
    .all("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
    .map((row) => String(row['name']))
    .filter((name) => !name.startsWith('_') && !name.startsWith('sqlite_'));
  const all = new Set(names);
  return names.flatMap((name) => {
    const table = readTable(database, name, options);
    return table === undefined || isHistory(table, all) ? [] : [table];
  });
}

function readTable(database: SqliteReader, name: string, options: SqliteReadOptions): Table | undefined {
  const logicalNameOf = (table: string): string => options.logicalNames?.get(table) ?? table;
  const info = database
    .all('SELECT name, type, pk FROM pragma_table_info(?) ORDER BY cid', [name])
    .map((row) => ({ name: String(row['name']), type: String(row['type']), pk: Number(row['pk']) }));
  const keys = info.filter(({ pk }) => pk > 0);
  const key = keys[0];
  if (key === undefined || keys.length > 1) return undefined;
  const names = new Set(info.map((column) => column.name));
  return {
    logicalName: logicalNameOf(name),
    name,
    primaryKey: key.name,
    columns: [key, ...info.filter((column) => column !== key)].map(columnOf),
    foreignKeys: database
      .all('SELECT "from", "table" FROM pragma_foreign_key_list(?) ORDER BY "from"', [name])
      .map((row): ForeignKey => {
        const column = String(row['from']);
        const typeColumn = isLookup(column) ? lookupTypeColumn(column) : undefined;
        return {
          column,
          targets: [logicalNameOf(String(row['table']))],
          ...(typeColumn !== undefined && names.has(typeColumn) ? { typeColumn } : {}),
          source: 'metadata',
        };
      }),
    ...(names.has('versionnumber') ? { versionColumn: 'versionnumber' } : {}),
    ...(names.has('modifiedon') ? { modifiedOnColumn: 'modifiedon' } : {}),
    changeTracking: false,
    intersect: false,
  };
}

function columnOf({ name, type }: { name: string; type: string }): Column {
  const declared = type.toUpperCase();
  const sqliteType: SqliteType = Object.hasOwn(readings, declared) ? (declared as SqliteType) : 'TEXT';
  return { name, property: name, edmType: unknownEdmType, type: sqliteType, reading: readings[sqliteType] };
}

/** `accounts_history` beside `accounts`, told from a table of Dataverse that happens to be called so. */
function isHistory(table: Table, all: ReadonlySet<string>): boolean {
  const columns = new Set(table.columns.map(({ name }) => name));
  return (
    table.name.endsWith('_history') &&
    all.has(table.name.slice(0, -'_history'.length)) &&
    columns.has('valid_from') &&
    columns.has('valid_to')
  );
}

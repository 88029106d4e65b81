import type { Table } from '../../schema/table.ts';

/**
 * The table with other names of columns, in all that names them.
 * @param names by the names of now; those that are absent stay
 */
export function renameColumns(table: Table, names: ReadonlyMap<string, string>): Table {
  const of = (name: string): string => names.get(name) ?? name;
  const ofOptional = (name: string | undefined) => (name === undefined ? undefined : of(name));
  return {
    ...table,
    primaryKey: of(table.primaryKey),
    primaryName: ofOptional(table.primaryName),
    versionColumn: ofOptional(table.versionColumn),
    modifiedOnColumn: ofOptional(table.modifiedOnColumn),
    columns: table.columns.map((column) => ({ ...column, name: of(column.name) })),
    foreignKeys: table.foreignKeys.map((key) => ({
      ...key,
      column: of(key.column),
      typeColumn: ofOptional(key.typeColumn),
    })),
  } as Table;
}

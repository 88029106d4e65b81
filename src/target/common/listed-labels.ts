import type { Table } from '../../schema/table.ts';
import type { Labels, TableNames } from '../labels.ts';

/** A row of `_choices`. */
export interface ListedChoice {
  table_name: string;
  column_name: string;
  value: number;
  language: number;
  label: string;
}

/** A row of `_sync_tables`, or of `_sync_columns`. */
export interface ListedName {
  table_name: string;
  column_name?: string;
  display_name: string | null;
  description: string | null;
}

/** The labels and names that a mirror has of tables, by the names that Dataverse has for them. */
export function listedLabels(
  tables: readonly Table[],
  lists: { choices: readonly ListedChoice[]; tables: readonly ListedName[]; columns: readonly ListedName[] },
): Labels {
  const byName = new Map(tables.map((table) => [table.name, table]));
  const propertyOf = (table: Table, column: string | undefined): string | undefined =>
    table.columns.find(({ name }) => name === column)?.property;
  const choices = lists.choices.flatMap(({ table_name: name, column_name: one, value, language, label }) => {
    const table = byName.get(name);
    const column = table && propertyOf(table, one);
    return column === undefined ? [] : { table: table!.logicalName, column, value, language, label };
  });
  const columnsOf = Map.groupBy(lists.columns, ({ table_name: name }) => name);
  const names = lists.tables.flatMap((row): TableNames[] => {
    const table = byName.get(row.table_name);
    if (table === undefined) return [];
    const columns = (columnsOf.get(row.table_name) ?? []).flatMap((one) => {
      const column = propertyOf(table, one.column_name);
      return column === undefined ? [] : { column, ...displayed(one) };
    });
    return [{ table: table.logicalName, ...displayed(row), columns }];
  });
  return { choices, names };
}

function displayed({ display_name: displayName, description }: ListedName) {
  return { displayName: displayName ?? undefined, description: description ?? undefined };
}

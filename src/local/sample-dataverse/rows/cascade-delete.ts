import { columnIndex, type Table } from '../metadata/model.ts';
import type { TableRows } from './table-rows.ts';
import { isLookup, type Value } from './values.ts';

/** The part of the store that a deletion needs. */
interface Rows {
  rowsOf(table: Table): TableRows;
  update(logicalName: string, id: string, values: Record<string, Value>): void;
  removeRow(table: Table, id: string): void;
}

/**
 * Does what the deletion of a row does to others: deletes its N:N rows and clears lookups to it
 * (learn.microsoft.com: Configure table relationship cascading behavior, "Remove Link").
 */
export function cascadeDelete(store: Rows, tables: readonly Table[], deleted: Table, id: string): void {
  for (const table of tables) {
    if (table.intersect !== undefined) removeLinks(store, table, deleted, id);
    else if (!table.abstract) clearLookups(store, table, deleted, id);
  }
}

function removeLinks(store: Rows, intersect: Table, deleted: Table, id: string): void {
  for (const end of intersect.intersect!.ends) {
    if (end.table !== deleted.logicalName) continue;
    const position = columnIndex(intersect, end.column);
    for (const row of [...store.rowsOf(intersect).all()]) {
      if (row.values[position] === id) store.removeRow(intersect, row.id);
    }
  }
}

function clearLookups(store: Rows, table: Table, deleted: Table, id: string): void {
  const positions = table.columns.flatMap((column, position) =>
    column.targets?.some(({ table: name }) => name === deleted.logicalName || name === deleted.baseType)
      ? [position]
      : [],
  );
  if (positions.length === 0) return;
  for (const row of [...store.rowsOf(table).all()]) {
    const cleared: Record<string, Value> = {};
    for (const position of positions) {
      const value = row.values[position] ?? null;
      if (isLookup(value) && value.id === id) cleared[table.columns[position]!.name] = null;
    }
    if (Object.keys(cleared).length > 0) store.update(table.logicalName, row.id, cleared);
  }
}

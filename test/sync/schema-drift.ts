import type { Store } from '../../src/local/sample-dataverse/index.ts';
import type { Column, Table } from '../../src/local/sample-dataverse/metadata/model.ts';
import {
  columns as columnsFrom,
  lookupColumn,
} from '../../src/local/sample-dataverse/metadata/model-builder.ts';
import { isLookup, type Value } from '../../src/local/sample-dataverse/rows/values.ts';

/**
 * Changes a sample organisation's schema as an administrator would. Rows keep their versions: Dataverse does not
 * write the rows of a table when its columns change.
 */
export type ValueFor = (column: Column) => Value;

/** @param word the short name of the type; see `columns` of the sample's model builder */
export function addColumn(
  store: Store,
  tableName: string,
  name: string,
  word: string,
  value: ValueFor,
): void {
  const column = newColumn(name, word);
  const table = store.table(tableName);
  if (table.columns.some((one) => one.name === name)) return;
  replaceColumns(store, table, [...table.columns, column], (row) => [...row, value(column)]);
}

/** A lookup with several targets, without a value in any row. */
export function addLookup(store: Store, tableName: string, name: string, targets: readonly string[]): void {
  const column = lookupColumn(
    name,
    targets.map((target) => [target, `${name}_${target}`] as const),
  );
  for (const target of column.targets!) target.referenced = store.table(target.table).primaryId;
  const table = store.table(tableName);
  replaceColumns(store, table, [...table.columns, column], (row) => [...row, null]);
}

let created = 0;

/** Dataverse tells it from a column of the same name that existed before. */
function newColumn(name: string, word: string): Column {
  created += 1;
  return { ...columnsFrom({ [name]: word })[0]!, incarnation: `created ${created}` };
}

export function dropColumn(store: Store, tableName: string, name: string): void {
  const table = store.table(tableName);
  const position = table.columns.findIndex((column) => column.name === name);
  if (position < 0) return;
  const without = <T>(list: readonly T[]): T[] => list.filter((_, index) => index !== position);
  replaceColumns(store, table, without(table.columns), without);
}

/** Gives a column another type, as after deleting it and creating it again. */
export function retypeColumn(
  store: Store,
  tableName: string,
  name: string,
  word: string,
  value: ValueFor,
): void {
  const table = store.table(tableName);
  const position = table.columns.findIndex((column) => column.name === name);
  if (position < 0) return;
  const column = newColumn(name, word);
  replaceColumns(store, table, table.columns.with(position, column), (row) =>
    row.with(position, value(column)),
  );
}

/** Deletes a table with its N:N tables. Lookups lose it as a target, and are deleted if it was the only one. */
export function dropTable(store: Store, tableName: string): void {
  const table = store.table(tableName);
  for (const other of [...store.model.tables.values()]) {
    if (other.intersect?.ends.some((end) => end.table === tableName)) dropTable(store, other.logicalName);
  }
  store.model.remove(table);
  store.forget(table);
  for (const other of [...store.model.tables.values()]) {
    const lookups = other.columns.filter((column) =>
      column.targets?.some((target) => target.table === tableName),
    );
    for (const { name, targets } of lookups) {
      if (targets!.length === 1) dropColumn(store, other.logicalName, name);
      else loseTarget(store, other.logicalName, name, tableName);
    }
  }
  store.schemaChanged();
}

/** Removes a target from a lookup, and empties the lookup in rows that pointed to the target. */
function loseTarget(store: Store, tableName: string, name: string, target: string): void {
  const table = store.table(tableName);
  const position = table.columns.findIndex((column) => column.name === name);
  const old = table.columns[position]!;
  const column = { ...old, targets: old.targets!.filter((one) => one.table !== target) };
  replaceColumns(store, table, table.columns.with(position, column), (row) => [...row]);
  for (const row of [...store.rowsOf(table).all()]) {
    const value = row.values[position]!;
    if (isLookup(value) && value.table === target) store.update(tableName, row.id, { [name]: null });
  }
}

/** Creates a table again, without rows and without lookups to deleted tables. */
export function restoreTable(store: Store, table: Table): void {
  const columns = table.columns
    .map((column) =>
      column.targets === undefined
        ? column
        : { ...column, targets: column.targets.filter((target) => store.model.tables.has(target.table)) },
    )
    .filter((column) => column.targets === undefined || column.targets.length > 0);
  const restored: Table = { ...table, columns };
  store.model.add(restored);
  store.forget(restored);
  for (const row of [...store.rowsOf(restored).all()]) store.rowsOf(restored).remove(row.id);
  store.schemaChanged(restored);
}

function replaceColumns(
  store: Store,
  table: Table,
  columns: Column[],
  values: (row: readonly Value[]) => Value[],
): void {
  // A new object, because caches are keyed by the table object.
  const replaced: Table = { ...table, columns };
  store.model.remove(table);
  store.model.add(replaced);
  for (const row of store.rowsOf(replaced).all()) row.values = values(row.values);
  store.schemaChanged(replaced);
}

/** Gives a table another entity set. */
export function renameSet(store: Store, table: string, entitySet: string): void {
  const { model } = store;
  const renamed = store.table(table);
  model.remove(renamed);
  renamed.entitySetName = entitySet;
  model.add(renamed);
  store.schemaChanged();
}

import { badRequest, noSuchProperty } from '../http/service-error.ts';
import { type Column, columnIndex, type Table } from '../metadata/model.ts';
import type { Store } from '../rows/store.ts';
import { isLookup, type Row } from '../rows/values.ts';
import { parseExpand } from './options/parse-expand.ts';
import { chosenColumns, rowWriter, type WantsAnnotation } from './row-json.ts';

/**
 * Writes the members that `$expand` adds to a row: the rows behind single-valued navigation properties, with
 * their `$select`. Collections are an error.
 */
export function expansionWriter(
  store: Store,
  table: Table,
  expand: string | undefined,
  wants: WantsAnnotation,
): ((row: Row) => string) | undefined {
  if (expand === undefined) return undefined;
  const expansions = parseExpand(expand).map(({ name, select }) => {
    const { column, target } = navigationOf(table, name);
    for (const wanted of select ?? []) {
      if (columnIndex(target, wanted) < 0) throw noSuchProperty(wanted, target.logicalName);
    }
    return { name, index: columnIndex(table, column.name), members: store.model.family(target), select };
  });
  return (row) =>
    expansions
      .map(({ name, index, members, select }) => {
        const value = row.values[index] ?? null;
        const member = isLookup(value) ? members.find((each) => each.logicalName === value.table) : undefined;
        const related =
          member === undefined ? undefined : store.rowsOf(member).get((value as { id: string }).id);
        if (member === undefined || related === undefined) return `,"${name}":null`;
        const write = rowWriter(member, chosenColumns(member, select), wants, (logicalName, id) =>
          store.nameOf(logicalName, id),
        );
        return `,"${name}":${write(related)}`;
      })
      .join('');

  function navigationOf(from: Table, name: string): { column: Column; target: Table } {
    for (const column of from.columns) {
      const found = column.targets?.find((each) => each.navigation === name);
      const target = found === undefined ? undefined : store.model.tables.get(found.table);
      if (target !== undefined) return { column, target };
    }
    throw badRequest(`The navigation property '${name}' cannot be expanded on type '${from.logicalName}'.`);
  }
}

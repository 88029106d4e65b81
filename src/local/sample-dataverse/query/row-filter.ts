import { badRequest, noSuchProperty } from '../http/service-error.ts';
import { columnIndex, type Table } from '../metadata/model.ts';
import type { Store } from '../rows/store.ts';
import type { Row } from '../rows/values.ts';
import { compileFilter, type Field } from './compile-filter.ts';
import { findNavigation } from './navigation.ts';
import { type Filter, parseFilter } from './options/parse-filter.ts';

/** The test of a `$filter`, with paths through lookups and with lambda expressions. */
export function rowFilter(
  store: Store,
  table: Table,
  filter: string,
  aliases: ReadonlyMap<string, string>,
): (row: Row) => boolean {
  return filterTest(store, table, parseFilter(filter, aliases));
}

/** The same of a parsed filter. @param variable of the lambda expression that the filter is in */
export function filterTest(
  store: Store,
  table: Table,
  filter: Filter,
  variable?: string,
): (row: Row) => boolean {
  const field = (path: string): Field<Row> => {
    const own = variable === undefined ? path : withoutVariable(path, variable);
    return fieldOf(store, table, own.split('/'));
  };
  return compileFilter(filter, field, ({ navigation, all, variable: inner, inner: condition }) => {
    const name = variable === undefined ? navigation : withoutVariable(navigation, variable);
    const found = findNavigation(store, table, name);
    if (!found?.isCollection) throw noSuchProperty(name, table.logicalName);
    const test = condition === undefined ? undefined : filterTest(store, found.target, condition, inner);
    return (row) => {
      const related = found.follow(row);
      if (test === undefined) return related.length > 0;
      return all ? related.every((each) => test(each.row)) : related.some((each) => test(each.row));
    };
  });
}

function withoutVariable(path: string, variable: string): string {
  if (path.startsWith(`${variable}/`)) return path.slice(variable.length + 1);
  throw badRequest(`The path '${path}' does not begin with the range variable '${variable}'.`);
}

function fieldOf(store: Store, table: Table, [name = '', ...rest]: string[]): Field<Row> {
  if (rest.length === 0) {
    const index = columnIndex(table, name);
    if (index < 0) throw noSuchProperty(name, table.logicalName);
    return { type: table.columns[index]!.type, get: (row) => row.values[index] };
  }
  const navigation = findNavigation(store, table, name);
  if (navigation === undefined || navigation.isCollection) throw noSuchProperty(name, table.logicalName);
  const inner = fieldOf(store, navigation.target, rest);
  return {
    type: inner.type,
    get(row) {
      const [related] = navigation.follow(row);
      return related === undefined ? null : inner.get(related.row);
    },
  };
}

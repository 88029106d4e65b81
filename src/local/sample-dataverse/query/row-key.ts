import { badRequest, noSuchProperty, noSuchRow, ServiceError } from '../http/service-error.ts';
import { columnIndex, type Table } from '../metadata/model.ts';
import { isGuid } from '../rows/guid.ts';
import type { Store } from '../rows/store.ts';
import type { KeyOf } from '../rows/table-rows.ts';
import type { Row } from '../rows/values.ts';
import { comparable, comparableLiteral } from './comparable.ts';

/** The key in a URL: an id, or the columns of an alternate key with their values. */
export type RowKey = { id: string } | { columns: Map<string, string> };

export function parseRowKey(table: Table, text: string): RowKey {
  if (isGuid(text)) return { id: text.toLowerCase() };
  const columns = new Map<string, string>();
  for (const [, name, quoted, plain] of text.matchAll(
    /\s*([\w]+)\s*=\s*(?:'((?:[^']|'')*)'|([^,]*))\s*(?:,|$)/g,
  )) {
    columns.set(name!, quoted === undefined ? plain!.trim() : quoted.replaceAll("''", "'"));
  }
  if (columns.size === 0) {
    throw badRequest(`Bad Request - Error in query syntax.`, '0x80060888');
  }
  const [name, value] = [...columns][0]!;
  if (columns.size === 1 && (name === table.primaryId || name === table.key) && isGuid(value)) {
    return { id: value.toLowerCase() };
  }
  checkAlternateKey(table, [...columns.keys()]);
  return { columns };
}

function checkAlternateKey(table: Table, names: readonly string[]): void {
  for (const name of names) {
    if (columnIndex(table, name) < 0) throw noSuchProperty(name, table.logicalName);
  }
  const known = table.alternateKeys.some(
    (key) => key.columns.length === names.length && key.columns.every((name) => names.includes(name)),
  );
  if (!known) {
    throw badRequest(
      `The specified key attributes are not a defined key for the ${table.logicalName} entity`,
      '0x80060890',
    );
  }
}

/** The row with a key, if it exists. */
export function lookUpRow(store: Store, table: Table, key: RowKey): Row | undefined {
  const rows = store.visibleRows(table);
  if ('id' in key) return rows.get(key.id);
  const columns = [...key.columns.keys()];
  const parts = columns.map((name) => {
    const { type } = table.columns[columnIndex(table, name)]!;
    const value = comparableLiteral(type, key.columns.get(name)!);
    if (value === undefined) throw badRequest(`Invalid value for the key column '${name}'.`);
    return String(value);
  });
  return rows.byKey(columns.join(), keyReader(table, columns), parts.join('\u0000'));
}

/** Reads the values of an alternate key from a row, as one text. A row with a null among them has no key. */
export function keyReader(table: Table, columns: readonly string[]): KeyOf {
  const fields = columns.map((name) => {
    const index = columnIndex(table, name);
    return { index, type: table.columns[index]!.type };
  });
  return (row) => {
    const parts = fields.map(({ index, type }) => comparable(type, row.values[index]));
    return parts.includes(null) ? undefined : parts.join('\u0000');
  };
}

/**
 * The row that the key in a URL names.
 * @throws ServiceError 404 if there is none
 */
export function findRow(store: Store, table: Table, text: string): Row {
  const key = parseRowKey(table, text);
  const row = lookUpRow(store, table, key);
  if (row === undefined) throw noRowWithKey(table, key);
  return row;
}

export function noRowWithKey(table: Table, key: RowKey): ServiceError {
  if ('id' in key) return noSuchRow(table.logicalName, key.id);
  const message = `A record with the specified key values does not exist in ${table.logicalName} entity`;
  return new ServiceError(404, '0x80060891', message);
}

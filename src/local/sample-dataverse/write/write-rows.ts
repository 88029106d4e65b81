import { ServiceError } from '../http/service-error.ts';
import { columnIndex, type Table } from '../metadata/model.ts';
import { comparable } from '../query/comparable.ts';
import { keyReader, lookUpRow, noRowWithKey, type RowKey } from '../query/row-key.ts';
import type { RowValues, Store } from '../rows/store.ts';
import type { Row } from '../rows/values.ts';

/** The conditions of a write (learn.microsoft.com: Perform conditional operations). */
export interface Conditions {
  ifMatch?: string;
  ifNoneMatch?: string;
}

/** Creates a row. Rejects an id or alternate key that exists with 412. */
export function createRow(store: Store, table: Table, values: RowValues): Row {
  const id = values[table.primaryId] ?? values[table.key];
  if (typeof id === 'string' && store.visibleRows(table).get(id) !== undefined) throw duplicateId();
  checkKeys(store, table, values, undefined);
  const created = store.create(table.logicalName, values);
  return store.rowsOf(table).get(created)!;
}

/**
 * Rejects a row with the name of another one. This is the sample's duplicate detection rule, which
 * `MSCRM.SuppressDuplicateDetection: false` turns on (learn.microsoft.com: Use optional parameters).
 */
export function detectDuplicate(store: Store, table: Table, values: RowValues): void {
  const name = table.primaryName === undefined ? undefined : values[table.primaryName];
  if (typeof name !== 'string') return;
  const columns = [table.primaryName!];
  const found = store.rowsOf(table).byKey(columns.join(), keyReader(table, columns), name.toLowerCase());
  if (found === undefined) return;
  throw new ServiceError(
    412,
    '0x80040333',
    'A record was not created or updated because a duplicate of the current record already exists.',
  );
}

/** Updates a row or creates it, as `PATCH` does. */
export function upsertRow(
  store: Store,
  table: Table,
  key: RowKey,
  values: RowValues,
  conditions: Conditions,
): { row: Row; created: boolean } {
  const old = lookUpRow(store, table, key);
  if (old === undefined) {
    if (conditions.ifMatch !== undefined) throw noRowWithKey(table, key);
    // On a create, the body wins over the key in the URL (learn.microsoft.com: Use upsert).
    return { row: createRow(store, table, { ...keyValues(table, key), ...values }), created: true };
  }
  if (conditions.ifNoneMatch === '*') throw duplicateId();
  checkVersion(old, conditions);
  const kept = { ...values };
  delete kept[table.primaryId];
  delete kept[table.key];
  if ('columns' in key) for (const name of key.columns.keys()) delete kept[name];
  checkKeys(store, table, kept, old);
  store.update(table.logicalName, old.id, kept);
  return { row: store.rowsOf(table).get(old.id)!, created: false };
}

export function deleteRow(store: Store, table: Table, key: RowKey, conditions: Conditions): void {
  const row = lookUpRow(store, table, key);
  if (row === undefined) throw noRowWithKey(table, key);
  checkVersion(row, conditions);
  store.delete(table.logicalName, row.id);
}

function checkVersion(row: Row, { ifMatch }: Conditions): void {
  if (ifMatch === undefined || ifMatch === '*' || ifMatch === `W/"${row.version}"`) return;
  throw new ServiceError(
    412,
    '0x80060882',
    "The version of the existing record doesn't match the RowVersion property provided.",
  );
}

function duplicateId(): ServiceError {
  return new ServiceError(412, '0x80040237', 'A record with matching key values already exists.');
}

/** Rejects alternate keys that another row has. */
function checkKeys(store: Store, table: Table, values: RowValues, old: Row | undefined): void {
  for (const key of table.alternateKeys) {
    if (key.failed || !key.columns.some((name) => name in values)) continue;
    const parts = key.columns.map((name) => {
      const index = columnIndex(table, name);
      const value = name in values ? values[name] : old?.values[index];
      return comparable(table.columns[index]!.type, value);
    });
    if (parts.includes(null)) continue;
    const found = store
      .rowsOf(table)
      .byKey(key.columns.join(), keyReader(table, key.columns), parts.join('\u0000'));
    if (found === undefined || found.id === old?.id) continue;
    throw new ServiceError(
      412,
      '0x80060892',
      `Entity Key ${key.name} violated. A record with the same value for ${key.columns.join(', ')} already exists. A duplicate record cannot be created. Select one or more unique values and try again.`,
      {
        details: {
          'ErrorDetails.DuplicateEntity': `<EntityReference Id="${found.id}" LogicalName="${table.logicalName}" />`,
        },
      },
    );
  }
}

function keyValues(table: Table, key: RowKey): RowValues {
  if ('id' in key) return { [table.primaryId]: key.id };
  const values: RowValues = {};
  for (const [name, text] of key.columns) {
    const { type } = table.columns[columnIndex(table, name)]!;
    values[name] =
      type === 'Edm.String' || type === 'Edm.Guid' || type === 'Edm.Decimal' ? text : Number(text);
  }
  return values;
}

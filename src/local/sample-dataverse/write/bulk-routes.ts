import type { Dataverse } from '../dataverse.ts';
import { setAndKey } from '../http/path.ts';
import { json, noContent } from '../http/responses.ts';
import { badRequest } from '../http/service-error.ts';
import { apiRoot, type ServiceRequest, type ServiceResponse } from '../http/service-request.ts';
import type { Table } from '../metadata/model.ts';
import { lookUpRow, parseRowKey, type RowKey } from '../query/row-key.ts';
import { type Payload, parsePayload, rowValues } from './payload.ts';
import { createRow, upsertRow } from './write-rows.ts';

/**
 * Answers `CreateMultiple`, `UpdateMultiple` and `UpsertMultiple` on a standard table. Writes all rows or none
 * (learn.microsoft.com: Use bulk operation messages).
 */
export function writeMultiple(
  dataverse: Dataverse,
  request: ServiceRequest,
  table: Table,
  message: string,
): ServiceResponse {
  const targets = parsePayload(request.body)['Targets'];
  if (!Array.isArray(targets)) throw badRequest("The parameter 'Targets' is missing.", '0x80048d19');
  for (const target of targets as Payload[]) checkType(table, target);
  const { store } = dataverse;
  const ids = store.transaction(() =>
    (targets as Payload[]).map((target) => writeOne(dataverse, table, message, target)),
  );
  if (message !== 'CreateMultiple') return noContent();
  return json({
    '@odata.context': `${request.origin}${apiRoot}/$metadata#Microsoft.Dynamics.CRM.CreateMultipleResponse`,
    Ids: ids,
  });
}

function writeOne(dataverse: Dataverse, table: Table, message: string, target: Payload): string {
  const { store } = dataverse;
  const values = rowValues(store, table, target);
  if (message === 'CreateMultiple') return createRow(store, table, values).id;
  const key = targetKey(table, target);
  if (message === 'UpdateMultiple') return upsertRow(store, table, key, values, { ifMatch: '*' }).row.id;
  // A create fails if the body repeats the key (learn.microsoft.com: Use bulk operation messages).
  const repeated = 'columns' in key && [...key.columns.keys()].some((name) => name in values);
  if (repeated && lookUpRow(store, table, key) === undefined) {
    throw badRequest('The key columns of @odata.id must not be repeated in the target.', '0x80048d19');
  }
  return upsertRow(store, table, key, values, {}).row.id;
}

function checkType(table: Table, target: Payload): void {
  const type = target['@odata.type'];
  if (typeof type === 'string' && type.replace(/^#/, '') === `Microsoft.Dynamics.CRM.${table.logicalName}`)
    return;
  throw badRequest(
    "Error identified in Payload provided by the user: each target needs '@odata.type' with the table's type.",
    '0x80048d19',
  );
}

/** The key of a target: its primary id, or the id or alternate key in `@odata.id`. */
function targetKey(table: Table, target: Payload): RowKey {
  const url = target['@odata.id'];
  const id = target[table.primaryId] ?? target[table.key];
  const text = typeof url === 'string' ? setAndKey(url.replace(/^.*\//, '')).key : id;
  if (typeof text !== 'string') throw badRequest('A target has no id.', '0x80040203');
  return parseRowKey(table, text);
}

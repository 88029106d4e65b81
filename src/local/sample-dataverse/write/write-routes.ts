import type { Dataverse } from '../dataverse.ts';
import { parsePreferences } from '../http/preferences.ts';
import { noContent } from '../http/responses.ts';
import { badRequest, noSuchProperty } from '../http/service-error.ts';
import { apiRoot, type ServiceRequest, type ServiceResponse } from '../http/service-request.ts';
import { columnIndex, type Table } from '../metadata/model.ts';
import { rowResponse } from '../query/data-routes.ts';
import { parseRowKey } from '../query/row-key.ts';
import type { Row } from '../rows/values.ts';
import { parsePayload, rowValues } from './payload.ts';
import { type Conditions, createRow, deleteRow, detectDuplicate, upsertRow } from './write-rows.ts';

/** Answers `POST /accounts`. */
export function postRow(dataverse: Dataverse, request: ServiceRequest, table: Table): ServiceResponse {
  rejectReadOnly(table);
  const values = rowValues(dataverse.store, table, parsePayload(request.body));
  if (request.headers['mscrm.suppressduplicatedetection'] === 'false') {
    detectDuplicate(dataverse.store, table, values);
  }
  return written(dataverse, request, table, createRow(dataverse.store, table, values), 201);
}

/** Answers `PATCH /accounts(<key>)`: updates the row or creates it. */
export function patchRow(
  dataverse: Dataverse,
  request: ServiceRequest,
  table: Table,
  key: string,
): ServiceResponse {
  rejectReadOnly(table);
  const values = rowValues(dataverse.store, table, parsePayload(request.body));
  const { row, created } = upsertRow(
    dataverse.store,
    table,
    parseRowKey(table, key),
    values,
    conditionsOf(request),
  );
  return written(dataverse, request, table, row, created ? 201 : 200);
}

/** Answers `DELETE /accounts(<key>)`. */
export function removeRow(
  dataverse: Dataverse,
  request: ServiceRequest,
  table: Table,
  key: string,
): ServiceResponse {
  rejectReadOnly(table);
  deleteRow(dataverse.store, table, parseRowKey(table, key), conditionsOf(request));
  return noContent();
}

/** Answers `PUT /accounts(<key>)/name` with `{"value": …}`, and `DELETE` of the same URL. */
export function writeProperty(
  dataverse: Dataverse,
  request: ServiceRequest,
  table: Table,
  key: string,
  property: string,
): ServiceResponse {
  if (columnIndex(table, property) < 0) throw noSuchProperty(property, table.logicalName);
  const value = request.method === 'DELETE' ? null : parsePayload(request.body)['value'];
  if (value === undefined) throw badRequest("The payload needs a member 'value'.", '0x80048d19');
  const values = rowValues(dataverse.store, table, { [property]: value });
  upsertRow(dataverse.store, table, parseRowKey(table, key), values, { ifMatch: '*' });
  return noContent();
}

function conditionsOf(request: ServiceRequest): Conditions {
  return { ifMatch: request.headers['if-match'], ifNoneMatch: request.headers['if-none-match'] };
}

/** Only links create and delete N:N rows. Rows of an abstract table are written to the derived table. */
function rejectReadOnly(table: Table): void {
  if (table.intersect !== undefined || table.abstract) {
    throw badRequest(
      `The request message is not supported for entities of type '${table.logicalName}'.`,
      '0x80040800',
    );
  }
}

/** 204 with the URL of the row; or, if the client prefers it, the row and no URL. */
function written(
  dataverse: Dataverse,
  request: ServiceRequest,
  table: Table,
  row: Row,
  status: number,
): ServiceResponse {
  if (parsePreferences(request.headers['prefer']).returnRepresentation) {
    return rowResponse(dataverse, request, table, row, status);
  }
  return noContent({ 'odata-entityid': `${request.origin}${apiRoot}/${table.entitySetName}(${row.id})` });
}

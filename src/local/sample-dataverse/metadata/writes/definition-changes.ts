import type { Dataverse } from '../../dataverse.ts';
import { setAndKey } from '../../http/path.ts';
import { noContent } from '../../http/responses.ts';
import { badRequest, ServiceError } from '../../http/service-error.ts';
import type { ServiceResponse } from '../../http/service-request.ts';
import { NumberText, type Payload } from '../../write/payload.ts';
import type { Column, Table } from '../model.ts';
import { requirePrivilege } from '../privileges.ts';

/** Deletes a table, or a column or key of it. */
export function deleteDefinition(
  dataverse: Dataverse,
  table: Table,
  segment: string | undefined,
): ServiceResponse {
  const { store, schema } = dataverse;
  if (segment === undefined) {
    requirePrivilege(store, 'prvDeleteEntity');
    schema.dropTable(table.logicalName);
    return noContent();
  }
  const { name } = setAndKey(segment);
  if (name === 'Attributes') {
    requirePrivilege(store, 'prvDeleteAttribute');
    const column = columnIn(table, segment);
    if (
      column.name === table.primaryName ||
      column.name === table.primaryId ||
      column.targets !== undefined
    ) {
      throw badRequest(`The attribute ${column.logicalName} cannot be deleted.`, '0x8004f01f');
    }
    if (table.alternateKeys.some((key) => key.columns.includes(column.name))) {
      throw badRequest(`The attribute ${column.logicalName} belongs to a key.`, '0x8004f01f');
    }
    schema.dropColumn(table.logicalName, column.name);
    return noContent();
  }
  requirePrivilege(store, 'prvDeleteEntityKey');
  const wanted = nameIn(segment);
  const at = table.alternateKeys.findIndex((key) => key.name.toLowerCase() === wanted);
  if (name !== 'Keys' || at < 0) throw new ServiceError(404, '0x80060888', `There is no key ${wanted}.`);
  table.alternateKeys.splice(at, 1);
  store.schemaChanged();
  return noContent();
}

/** Changes what the sample knows of a column: the length of a text. */
export function updateColumn(
  { store }: Dataverse,
  table: Table,
  segment: string,
  payload: Payload,
): ServiceResponse {
  requirePrivilege(store, 'prvWriteAttribute');
  const column = columnIn(table, segment);
  const length = payload['MaxLength'];
  if (length instanceof NumberText) column.maxLength = Number(length.digits);
  store.schemaChanged(table);
  return noContent();
}

function columnIn(table: Table, segment: string): Column {
  const wanted = nameIn(segment);
  const column = table.columns.find(({ logicalName }) => logicalName === wanted);
  if (column === undefined) throw new ServiceError(404, '0x80060888', `There is no attribute ${wanted}.`);
  return column;
}

/** `Attributes(LogicalName='new_budget')` → `new_budget` */
function nameIn(segment: string): string | undefined {
  return /^LogicalName='(.*)'$/.exec(setAndKey(segment).key ?? '')?.[1];
}

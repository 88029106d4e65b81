import type { Dataverse } from '../dataverse.ts';
import { ServiceError } from '../http/service-error.ts';
import type { ServiceRequest } from '../http/service-request.ts';
import { columnIndex } from '../metadata/model.ts';
import { requirePrivilege } from '../metadata/privileges.ts';
import type { Lookup } from '../rows/values.ts';

/**
 * The user that a request impersonates with `CallerObjectId` or `MSCRMCallerID` (learn.microsoft.com: "Impersonate another
 * user using the Web API"). Undefined if it is for the caller itself.
 * @throws ServiceError 403 if the caller may not, or if there is no such user
 */
export function impersonated(dataverse: Dataverse, request: ServiceRequest): Lookup | undefined {
  const { store } = dataverse;
  const { callerobjectid: objectId, mscrmcallerid: userId } = request.headers;
  if (objectId === undefined && userId === undefined) return undefined;
  requirePrivilege(store, 'prvActOnBehalfOfAnotherUser');
  const table = store.table('systemuser');
  const [column, wanted] =
    objectId === undefined ? ['systemuserid', userId] : ['azureactivedirectoryobjectid', objectId];
  const position = columnIndex(table, column);
  for (const row of store.rowsOf(table).all()) {
    if (row.values[position] === wanted?.toLowerCase()) return { table: 'systemuser', id: row.id };
  }
  throw new ServiceError(403, '0x80072560', 'The user is not a member of the organization.');
}

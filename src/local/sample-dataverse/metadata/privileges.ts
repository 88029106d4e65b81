import type { Dataverse } from '../dataverse.ts';
import { json } from '../http/responses.ts';
import { badRequest, noSuchRow, noSuchSegment, ServiceError } from '../http/service-error.ts';
import { apiRoot, type ServiceRequest, type ServiceResponse } from '../http/service-request.ts';
import type { Store } from '../rows/store.ts';
import { metadataId } from './labels.ts';
import { otherPrivileges, privilegeName, privilegeVerbs } from './privilege-names.ts';

/** @throws ServiceError 403 if `store.deniedPrivileges` contains the privilege */
export function requirePrivilege(store: Store, name: string): void {
  const wanted = name.toLowerCase();
  for (const denied of store.deniedPrivileges) {
    if (denied.toLowerCase() !== wanted) continue;
    throw new ServiceError(
      403,
      '0x80040220',
      `Principal user (Id=${store.caller?.id ?? ''}, type=8) is missing ${name} privilege (Id=${metadataId(name)}).`,
    );
  }
}

/** Answers `WhoAmI` and the functions that return a user's privileges. Undefined for other paths. */
export function callFunction(
  dataverse: Dataverse,
  request: ServiceRequest,
  segments: readonly string[],
): ServiceResponse | undefined {
  const context = `${request.origin}${apiRoot}/$metadata#Microsoft.Dynamics.CRM.`;
  if (/^WhoAmI(\(\))?$/.test(segments[0]!)) {
    // The metadata of an option can lack this table.
    const { store } = dataverse;
    const units = store.model.tables.has('businessunit') ? store.truth('businessunit') : undefined;
    const unit = units?.keys().next().value;
    return json({
      '@odata.context': `${context}WhoAmIResponse`,
      BusinessUnitId: unit ?? metadataId('businessunit'),
      UserId: dataverse.store.caller?.id ?? metadataId('user'),
      OrganizationId: dataverse.store.organizationId,
    });
  }
  if (/^RetrieveTotalRecordCount\(/.test(segments[0]!))
    return totalRecordCount(dataverse, request, segments[0]!);
  const name = /^Microsoft\.Dynamics\.CRM\.(RetrieveUserPrivilege\w*)/.exec(segments[1] ?? '')?.[1];
  if (name === undefined) return undefined;
  const held = rolePrivileges(dataverse.store);
  const answer = (privileges: typeof held): ServiceResponse =>
    json({ '@odata.context': `${context}${name}Response`, RolePrivileges: privileges });
  if (name === 'RetrieveUserPrivileges') return answer(held);
  if (name === 'RetrieveUserPrivilegeByPrivilegeName') {
    const argument = /PrivilegeName=(?:'([^']*)'|(@\w+))/.exec(segments[1]!);
    const alias = argument?.[2];
    const query = new URLSearchParams(request.query);
    const wanted = (alias === undefined ? argument?.[1] : query.get(alias)?.replaceAll("'", '')) ?? '';
    return answer(held.filter((each) => each.PrivilegeName.toLowerCase() === wanted.toLowerCase()));
  }
  throw noSuchSegment(name);
}

/** `RetrieveTotalRecordCount(EntityNames=@p1)?@p1=["account"]` */
function totalRecordCount(dataverse: Dataverse, request: ServiceRequest, segment: string): ServiceResponse {
  const argument = /\(EntityNames=(.*)\)$/s.exec(segment)?.[1] ?? '';
  const text = argument.startsWith('@') ? new URLSearchParams(request.query).get(argument) : argument;
  let names: unknown;
  try {
    names = JSON.parse((text ?? '').replaceAll("'", '"'));
  } catch {
    names = undefined;
  }
  if (!Array.isArray(names)) throw badRequest("The parameter 'EntityNames' is not a list of names.");
  const keys = names.map(String);
  for (const name of keys) {
    if (!dataverse.store.model.tables.has(name)) throw noSuchRow('entity', name);
  }
  return json({
    '@odata.context': `${request.origin}${apiRoot}/$metadata#Microsoft.Dynamics.CRM.RetrieveTotalRecordCountResponse`,
    EntityRecordCountCollection: {
      Count: keys.length,
      IsReadOnly: false,
      Keys: keys,
      Values: keys.map((name) => dataverse.store.count(name)),
    },
  });
}

function rolePrivileges(store: Store): {
  Depth: 'Global' | 'Local';
  PrivilegeId: string;
  BusinessUnitId: string;
  PrivilegeName: string;
}[] {
  const denied = new Set([...store.deniedPrivileges].map((name) => name.toLowerCase()));
  const unit = metadataId('businessunit');
  const privilege = (name: string, global: boolean) => ({
    Depth: global ? ('Global' as const) : ('Local' as const),
    PrivilegeId: metadataId(name),
    BusinessUnitId: unit,
    PrivilegeName: name,
  });
  const tables = [...store.model.tables.values()].flatMap((table) =>
    privilegeVerbs.map((verb) =>
      privilege(
        privilegeName(verb, table),
        !(verb === 'Read' && store.withoutOrganizationRead.has(table.logicalName)),
      ),
    ),
  );
  const others = otherPrivileges.map((name) => privilege(name, true));
  return [...tables, ...others].filter((each) => !denied.has(each.PrivilegeName.toLowerCase()));
}

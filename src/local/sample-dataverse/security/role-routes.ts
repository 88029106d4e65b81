import type { Dataverse } from '../dataverse.ts';
import { setAndKey } from '../http/path.ts';
import { json, noContent } from '../http/responses.ts';
import {
  badRequest,
  methodNotAllowed,
  noSuchRow,
  noSuchSegment,
  ServiceError,
} from '../http/service-error.ts';
import { apiRoot, type ServiceRequest, type ServiceResponse } from '../http/service-request.ts';
import { allPrivileges } from '../metadata/privilege-names.ts';
import { requirePrivilege } from '../metadata/privileges.ts';
import type { Role } from './roles.ts';

const depths = new Set(['Basic', 'Local', 'Deep', 'Global']);

/** Answers requests about roles and privileges. Undefined for other paths. */
export function answerRoles(
  dataverse: Dataverse,
  request: ServiceRequest,
  segments: readonly string[],
): ServiceResponse | undefined {
  const [first = '', second, third] = segments;
  const { name, key } = setAndKey(first);
  if (name === 'privileges' && key === undefined) return readPrivileges(dataverse, request);
  if (name === 'RetrieveRolePrivilegesRole') return rolePrivileges(dataverse, key ?? '');
  if (name === 'systemusers' && key !== undefined && second === 'systemuserroles_association')
    return third === '$ref' ? assign(dataverse, request, key) : assignedTo(dataverse, key);
  if (name !== 'roles') return undefined;
  if (key === undefined) {
    if (request.method === 'POST') return createRole(dataverse, request);
    if (request.method === 'GET') return findRoles(dataverse, request);
    throw methodNotAllowed(request.method);
  }
  if (second === 'Microsoft.Dynamics.CRM.AddPrivilegesRole' && request.method === 'POST')
    return addPrivileges(dataverse, request, key);
  throw noSuchSegment(second ?? first);
}

function list(items: object[]): ServiceResponse {
  return json({ value: items });
}

/** The values that a filter compares a property with by `eq`. Other filters are not supported here. */
function equalTo(request: ServiceRequest, property: string): string[] {
  const filter = new URLSearchParams(request.query).get('$filter') ?? '';
  const pattern = new RegExp(`\\b${property} eq (?:'((?:[^']|'')*)'|([0-9a-f-]{36}))`, 'gi');
  return [...filter.matchAll(pattern)].map(([, text, id]) => (text ?? id!).replaceAll("''", "'"));
}

function readPrivileges({ store }: Dataverse, request: ServiceRequest): ServiceResponse {
  const wanted = new Set(equalTo(request, 'name').map((name) => name.toLowerCase()));
  const found = allPrivileges(store.model).filter(({ name }) => wanted.has(name.toLowerCase()));
  return list(found.map(({ name, id }) => ({ name, privilegeid: id })));
}

function findRoles({ roles }: Dataverse, request: ServiceRequest): ServiceResponse {
  const [name] = equalTo(request, 'name');
  const [unit] = equalTo(request, '_businessunitid_value');
  const found = [...roles.all.values()].filter(
    (role) =>
      (name === undefined || role.name.toLowerCase() === name.toLowerCase()) &&
      (unit === undefined || role.businessUnit === unit),
  );
  return list(found.map(itemOf));
}

function itemOf({ id, name, businessUnit }: Role) {
  return { roleid: id, name, _businessunitid_value: businessUnit };
}

function createRole({ roles, store }: Dataverse, request: ServiceRequest): ServiceResponse {
  requirePrivilege(store, 'prvCreateRole');
  const { name, 'businessunitid@odata.bind': unit } = bodyOf(request);
  const businessUnit = /^\/?businessunits\(([0-9a-f-]{36})\)$/i.exec(String(unit))?.[1];
  if (typeof name !== 'string' || businessUnit === undefined)
    throw badRequest('A role needs a name and a business unit.');
  if (!store.truth('businessunit').has(businessUnit)) throw noSuchRow('businessunit', businessUnit);
  const id = crypto.randomUUID();
  roles.all.set(id, { id, name, businessUnit, privileges: new Map() });
  return noContent({ 'odata-entityid': `${request.origin}${apiRoot}/roles(${id})` });
}

function addPrivileges(dataverse: Dataverse, request: ServiceRequest, id: string): ServiceResponse {
  requirePrivilege(dataverse.store, 'prvWriteRole');
  const role = roleOf(dataverse, id);
  const known = new Set(allPrivileges(dataverse.store.model).map((privilege) => privilege.id));
  const { Privileges: added } = bodyOf(request) as { Privileges?: Record<string, string>[] };
  for (const { PrivilegeId = '', Depth = '' } of added ?? []) {
    if (!known.has(PrivilegeId)) throw noSuchRow('privilege', PrivilegeId);
    if (!depths.has(Depth)) throw badRequest(`Requested value '${Depth}' was not found.`);
    role.privileges.set(PrivilegeId, Depth);
  }
  return noContent();
}

function rolePrivileges(dataverse: Dataverse, argument: string): ServiceResponse {
  const role = roleOf(dataverse, /RoleId=([0-9a-f-]{36})/i.exec(argument)?.[1] ?? '');
  const names = new Map(allPrivileges(dataverse.store.model).map(({ id, name }) => [id, name]));
  return json({
    RolePrivileges: [...role.privileges].map(([id, depth]) => ({
      Depth: depth,
      PrivilegeId: id,
      BusinessUnitId: role.businessUnit,
      PrivilegeName: names.get(id),
    })),
  });
}

function assignedTo({ roles }: Dataverse, user: string): ServiceResponse {
  const ids = roles.assigned.get(user) ?? [];
  return list([...ids].map((id) => itemOf(roles.all.get(id)!)));
}

function assign(dataverse: Dataverse, request: ServiceRequest, user: string): ServiceResponse {
  requirePrivilege(dataverse.store, 'prvAssignRole');
  const unit = dataverse.store.truth('systemuser').get(user)?.['_businessunitid_value'];
  if (unit === undefined) throw noSuchRow('systemuser', user);
  const role = roleOf(
    dataverse,
    /\/roles\(([0-9a-f-]{36})\)$/i.exec(String(bodyOf(request)['@odata.id']))?.[1] ?? '',
  );
  const { assigned } = dataverse.roles;
  assigned.set(user, (assigned.get(user) ?? new Set()).add(role.id));
  return noContent();
}

function roleOf({ roles }: Dataverse, id: string): Role {
  const role = roles.all.get(id);
  if (role === undefined) throw noSuchRow('role', id);
  return role;
}

function bodyOf(request: ServiceRequest): Record<string, unknown> {
  try {
    return JSON.parse(request.body.toString());
  } catch {
    throw new ServiceError(400, '0x80048d19', 'Error identified in Payload provided by the user.');
  }
}

import type { Dataverse } from '../dataverse.ts';
import { setAndKey } from '../http/path.ts';
import { noContent } from '../http/responses.ts';
import { badRequest, methodNotAllowed, noSuchSegment, ServiceError } from '../http/service-error.ts';
import type { ServiceRequest, ServiceResponse } from '../http/service-request.ts';
import { columnIndex, type Table } from '../metadata/model.ts';
import { partner } from '../query/navigation.ts';
import { queryPairs } from '../query/options/query-options.ts';
import { findRow } from '../query/row-key.ts';
import { isLookup, type Lookup } from '../rows/values.ts';
import { parsePayload, referencedRow } from './payload.ts';

/**
 * Answers writes to `…/accounts(<id>)/<navigation>/$ref`: links two rows of an N:N relationship or removes the
 * link, sets or clears a lookup (learn.microsoft.com: Associate and disassociate table rows).
 */
export function writeLink(
  dataverse: Dataverse,
  request: ServiceRequest,
  table: Table,
  key: string,
  segment: string,
): ServiceResponse {
  const { store } = dataverse;
  const { name, key: targetKey } = setAndKey(segment);
  const row = findRow(store, table, key);
  const single = table.columns.find((column) => column.targets?.some((target) => target.navigation === name));
  // A lookup is set with PUT, a collection gets another row with POST.
  const method = single === undefined ? 'POST' : 'PUT';
  if (request.method !== 'DELETE' && request.method !== method) throw methodNotAllowed(request.method);
  if (single !== undefined) {
    const value = request.method === 'DELETE' ? null : referenceIn(dataverse, request);
    store.update(table.logicalName, row.id, { [single.name]: value });
    return noContent();
  }
  const found = intersectOf(dataverse, table, name);
  const children = childrenOf(dataverse, table, name);
  if (children !== undefined) {
    // Adding a row to a 1:N collection sets its lookup.
    const isRemoval = request.method === 'DELETE';
    const child = isRemoval
      ? referenceToRemove(dataverse, request, children.table.logicalName, targetKey)
      : referenceIn(dataverse, request);
    // The lookup may lead to another row.
    if (isRemoval && lookupOf(dataverse, child, children)?.id !== row.id) return noContent();
    const value = isRemoval ? null : { table: table.logicalName, id: row.id };
    store.update(child.table, child.id, { [children.column]: value });
    return noContent();
  }
  if (found === undefined) throw noSuchSegment(name);
  const { intersect, position } = found;
  const other =
    request.method === 'DELETE'
      ? referenceToRemove(dataverse, request, intersect.intersect!.ends[1 - position]!.table, targetKey)
      : referenceIn(dataverse, request);
  const [first, second] = position === 0 ? [row.id, other.id] : [other.id, row.id];
  if (request.method === 'DELETE') store.disassociate(intersect.logicalName, first, second);
  else if (store.findLink(intersect.logicalName, first, second) !== undefined) {
    throw new ServiceError(412, '0x80040237', 'Cannot insert duplicate key.');
  } else store.associate(intersect.logicalName, first, second);
  return noContent();
}

/** The lookup of another table behind a 1:N collection. */
function childrenOf(
  dataverse: Dataverse,
  table: Table,
  navigation: string,
): { table: Table; column: string } | undefined {
  for (const child of dataverse.store.model.tables.values()) {
    for (const { name, targets } of child.columns) {
      const isIt = targets?.some(
        (target) => target.table === table.logicalName && partner(child, target.navigation) === navigation,
      );
      if (isIt) return { table: child, column: name };
    }
  }
  return undefined;
}

function lookupOf(
  { store }: Dataverse,
  child: Lookup,
  { table, column }: { table: Table; column: string },
): Lookup | undefined {
  const value = findRow(store, table, child.id).values[columnIndex(table, column)] ?? null;
  return isLookup(value) ? value : undefined;
}

function intersectOf(
  dataverse: Dataverse,
  table: Table,
  navigation: string,
): { intersect: Table; position: 0 | 1 } | undefined {
  for (const intersect of dataverse.store.model.tables.values()) {
    const position = intersect.intersect?.ends.findIndex(
      (end) => end.table === table.logicalName && end.navigation === navigation,
    );
    if (position === 0 || position === 1) return { intersect, position };
  }
  return undefined;
}

function referenceIn(dataverse: Dataverse, request: ServiceRequest): Lookup {
  return reference(dataverse, parsePayload(request.body)['@odata.id']);
}

/** The row that `DELETE …/nav(<id>)/$ref` or `DELETE …/nav/$ref?$id=<url>` names. */
function referenceToRemove(
  dataverse: Dataverse,
  request: ServiceRequest,
  table: string,
  key: string | undefined,
): Lookup {
  if (key !== undefined) return { id: findRow(dataverse.store, dataverse.store.table(table), key).id, table };
  return reference(dataverse, queryPairs(request.query).find(([name]) => name === '$id')?.[1]);
}

function reference(dataverse: Dataverse, url: unknown): Lookup {
  const found = typeof url === 'string' ? referencedRow(dataverse.store, url) : undefined;
  if (found === undefined) throw badRequest("Invalid property '@odata.id' was found.", '0x80048d19');
  return found;
}

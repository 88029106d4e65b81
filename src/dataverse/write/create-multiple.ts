import { annotationsPreference, checkName } from '../read/query.ts';
import type { Call, CallOptions } from '../transport/call.ts';
import { readObject, unreadable } from '../transport/reply.ts';
import type { Transport } from '../transport/transport.ts';
import { type RowValues, toJson } from './exact-number.ts';

/**
 * Creates rows with one request: all, or in a standard table none, and returns their ids (learn.microsoft.com: "Use bulk operation messages").
 * With ids of their own, the request is conditional: if one of the rows exists, Dataverse creates none of them.
 * @param options `isRepeatable`: all rows have ids of their own, so that the request is retried without a response; the row that an
 * earlier attempt created is a conflict then (`maybeDoneBefore`)
 * @throws ConflictError if an id or an alternate key exists
 * @throws DataverseError if a row is rejected, or if the table does not support the message (status 405 or 501)
 */
export async function createMultiple(
  transport: Transport,
  target: { entitySet: string; logicalName: string },
  rows: readonly RowValues[],
  { isRepeatable = false, ...options }: CallOptions & { isRepeatable?: boolean } = {},
): Promise<string[]> {
  const { entitySet } = target;
  const type = `Microsoft.Dynamics.CRM.${checkName(target.logicalName, 'logical name')}`;
  const call: Call = {
    ...options,
    operation: `create ${rows.length} rows of ${entitySet}`,
    entitySet,
    method: 'POST',
    idempotent: isRepeatable,
    // Elastic tables create the valid rows of a request that fails, and say which (learn.microsoft.com: the same page).
    headers: { Prefer: annotationsPreference(['Microsoft.PowerApps.CDS.ErrorDetails.*']) },
    timeoutSeconds: 300,
    url: `${checkName(entitySet, 'entity set name')}/Microsoft.Dynamics.CRM.CreateMultiple`,
    body: toJson({ Targets: rows.map((row) => ({ '@odata.type': type, ...row })) }),
  };
  return transport.send(call, (reply) => {
    const { Ids: ids } = readObject(reply);
    if (Array.isArray(ids) && ids.length === rows.length) return ids.map((id) => String(id).toLowerCase());
    throw unreadable(reply, `it does not have ${rows.length} ids`);
  });
}

import { dataverseFault } from '../errors/errors.ts';
import { codes } from '../errors/fault-codes.ts';
import { checkGuid, checkName, type RowReference, rowPath } from '../read/query.ts';
import type { Call, CallOptions } from '../transport/call.ts';
import type { Transport } from '../transport/transport.ts';
import { toJson } from './exact-number.ts';
import { sendDelete } from './write-row.ts';

/**
 * Associates two rows through a collection-valued navigation property (N:N or 1:N). Rows that are already
 * associated stay so.
 * @example
 * const account = { entitySet: 'accounts', id: accountId };
 * await client.associate(account, 'accountleads_association', { entitySet: 'leads', id: leadId });
 */
export async function associate(
  transport: Transport,
  from: RowReference,
  navigationProperty: string,
  to: RowReference,
  options: CallOptions = {},
): Promise<void> {
  const call: Call = {
    ...options,
    operation: `associate a row of ${from.entitySet} through ${navigationProperty}`,
    entitySet: from.entitySet,
    method: 'POST',
    url: `${navigationPath(from, navigationProperty)}/$ref`,
    body: toJson({ '@odata.id': transport.base + rowPath(to.entitySet, to.id) }),
    idempotent: true,
  };
  await transport
    .send(call, () => {})
    .catch((error) => {
      if (dataverseFault(error)?.code !== codes.duplicateRecord) throw error;
    });
}

/** Undoes `associate`. Returns whether the rows were associated. */
export function disassociate(
  transport: Transport,
  from: RowReference,
  navigationProperty: string,
  toId: string,
  options: CallOptions = {},
): Promise<boolean> {
  const { entitySet } = from;
  const operation = `disassociate a row of ${entitySet} through ${navigationProperty}`;
  const url = `${navigationPath(from, navigationProperty)}(${checkGuid(toId)})/$ref`;
  return sendDelete(transport, { ...options, operation, entitySet, url });
}

function navigationPath(from: RowReference, property: string): string {
  return `${rowPath(from.entitySet, from.id)}/${checkName(property, 'navigation property')}`;
}

import { dataverseFault, isMissingRow } from '../errors/errors.ts';
import { codes } from '../errors/fault-codes.ts';
import { checkName, encodeValue } from '../read/query.ts';
import type { Call, CallOptions } from '../transport/call.ts';
import type { Transport } from '../transport/transport.ts';
import { toJson } from './exact-number.ts';

/** A connection between two rows. learn.microsoft.com: "Associate and disassociate table rows using the Web API". */
export interface Link {
  /** The row that has the navigation property: `accounts(…)`. */
  path: string;
  entitySet: string;
  navigationProperty: string;
  /** The other row: `contacts(…)`. Only the removal from a lookup needs none. */
  target?: string | undefined;
}

/** Describes a link, for a request of its own or a part of a batch. */
export function linkCall(
  { path, entitySet, navigationProperty }: Link,
  what: string,
  options: CallOptions,
): Call {
  return {
    ...options,
    operation: `${what} a row of ${entitySet}`,
    entitySet,
    url: `${path}/${checkName(navigationProperty, 'navigation property')}/$ref`,
    idempotent: true,
  };
}

/** Adds a row to a collection. It can be repeated: a connection that exists is not an error. */
export async function associate(
  transport: Transport,
  link: Link & { target: string },
  options: CallOptions = {},
): Promise<void> {
  const call = linkCall(link, 'associate', options);
  const body = toJson({ '@odata.id': transport.base + link.target });
  try {
    await transport.send({ ...call, method: 'POST', body }, () => undefined);
  } catch (error) {
    if (dataverseFault(error)?.code !== codes.duplicateRecord) throw error;
  }
}

/** Sets a lookup. */
export async function setLookup(
  transport: Transport,
  link: Link & { target: string },
  options: CallOptions = {},
): Promise<void> {
  const call = linkCall(link, 'set a lookup of', options);
  const body = toJson({ '@odata.id': transport.base + link.target });
  await transport.send({ ...call, method: 'PUT', body }, () => undefined);
}

/** Removes a row from a collection, or clears a lookup if there is no target. Returns whether Dataverse knew it. */
export async function disassociate(
  transport: Transport,
  link: Link,
  options: CallOptions = {},
): Promise<boolean> {
  const call = linkCall(link, link.target === undefined ? 'clear a lookup of' : 'disassociate', options);
  const query = link.target === undefined ? '' : `?$id=${encodeValue(transport.base + link.target)}`;
  try {
    await transport.send({ ...call, method: 'DELETE', url: call.url + query }, () => undefined);
    return true;
  } catch (error) {
    if (!isMissingRow(error)) throw error;
    return dataverseFault(error)?.maybeDoneBefore === true;
  }
}

import type { CallOptions } from '../transport/call.ts';
import { readObject } from '../transport/reply.ts';
import type { Transport } from '../transport/transport.ts';

/**
 * Reads the id of the organisation behind the environment's address (learn.microsoft.com: WhoAmI function). A database
 * that is put in the place of another one has another id.
 * @returns undefined if the service does not return it
 */
export async function readOrganizationId(
  transport: Transport,
  options: CallOptions = {},
): Promise<string | undefined> {
  const call = { ...options, operation: 'read the organisation', url: 'WhoAmI()' };
  const { OrganizationId: id } = await transport.send(call, readObject);
  return typeof id === 'string' && id !== '' ? id.toLowerCase() : undefined;
}

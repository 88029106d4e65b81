import { dataverseFault } from './errors.ts';
import { codes } from './fault-codes.ts';

/** Codes that say something about the table or the caller, not about the query. */
const otherCodes: ReadonlySet<string> = new Set([
  codes.notAMember,
  codes.resourceNotFound,
  codes.noRetrieveMultiple,
  codes.expiredVersionStamp,
]);

/**
 * Whether an error may mean that an option of the query is not supported. Providers of virtual and elastic tables reject
 * options with statuses and codes of their own, also with 500 and 501 (learn.microsoft.com: Create and edit virtual
 * tables), so everything counts that has no other known reason.
 */
export function isQueryRefused(error: unknown): boolean {
  const fault = dataverseFault(error);
  const status = fault?.status;
  if (fault === undefined || status === undefined || status < 400) return false;
  if (status === 401 || status === 403 || otherCodes.has(fault.code ?? '')) return false;
  return !fault.transient || status === 500;
}

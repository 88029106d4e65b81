import { SyncError } from '../../errors.ts';
import { isPrivilegeFault, privilegeHint } from '../errors/error-response.ts';
import { type DataverseFault, dataverseFault, type FaultDetails, withFault } from '../errors/errors.ts';
import { codes } from '../errors/fault-codes.ts';

/**
 * Why a read with change tracking failed.
 * - `expired`: the token is older than the environment keeps changes (7 days by default), or the table's
 *   definition has changed: read the whole table again
 * - `not-enabled`: the table, or one end of an N:N table, does not track changes
 * - `refused`: the privilege for organisation-level read is missing, or an option is not supported together
 *   with change tracking
 *
 * learn.microsoft.com: "Use change tracking to synchronize data with external systems".
 */
export type ChangeTrackingReason = 'expired' | 'not-enabled' | 'refused';

/** A read with change tracking failed for a reason that reading again does not change. */
export class ChangeTrackingError extends withFault(SyncError) {
  override readonly name: string = 'ChangeTrackingError';
  readonly reason: ChangeTrackingReason;
  constructor(message: string, details: FaultDetails & { reason: ChangeTrackingReason }) {
    super(message, details);
    this.reason = details.reason;
  }
}

/** Whether a link contains a delta token. Such a link does not need `Prefer: odata.track-changes`. */
export function isDeltaLink(link: string): boolean {
  return /[?&](\$|%24)deltatoken=/i.test(link);
}

/**
 * The row version in the token of a delta link. Tokens are opaque, but have had the form `919042!08/22/2017 08:10:44`,
 * URL-encoded, for years (learn.microsoft.com: Use change tracking to synchronize data with external systems). The version
 * is the counter of the whole database at the time of the read, so it never falls while the database goes on.
 * @returns undefined for a token in any other form
 */
export function deltaTokenVersion(link: string): bigint | undefined {
  const encoded = /[?&](?:\$|%24)deltatoken=([^&]*)/i.exec(link)?.[1];
  if (encoded === undefined) return undefined;
  try {
    const version = /^(\d{1,19})![\d/.:\-+ APM]+$/i.exec(decodeURIComponent(encoded))?.[1];
    return version === undefined ? undefined : BigInt(version);
  } catch {
    // Not URL-encoded text.
    return undefined;
  }
}

/** Converts the error of a read with change tracking to a ChangeTrackingError; returns any other error unchanged. */
export function toChangeTrackingError(error: unknown): unknown {
  const fault = dataverseFault(error);
  const reason = fault === undefined ? undefined : reasonOf(fault);
  if (fault === undefined || reason === undefined) return error;
  const details = { reason, fault, hint: hintOf(reason, fault), cause: error };
  return new ChangeTrackingError((error as Error).message, details);
}

function reasonOf(fault: DataverseFault): ChangeTrackingReason | undefined {
  const { status, code, serverMessage = '' } = fault;
  if (code === codes.expiredVersionStamp || status === 410) return 'expired';
  if (/version stamp .*expired|perform a full sync/i.test(serverMessage)) return 'expired';
  if (code === codes.changeTrackingNotEnabled || code === codes.changeTrackingNotEnabledForRelated) {
    return 'not-enabled';
  }
  if (/isn't supported when Change Tracking is enabled/i.test(serverMessage)) return 'refused';
  // A 401 or a missing application user affects every table, not just this one's change tracking.
  return isPrivilegeFault(fault) ? 'refused' : undefined;
}

function hintOf(reason: ChangeTrackingReason, fault: DataverseFault): string {
  const table = fault.entitySet ?? 'the table';
  if (reason === 'expired')
    return `Dataverse no longer keeps these changes of ${table}: read the whole table again.`;
  if (reason === 'not-enabled') return `Turn on "Track changes" for ${table} (both ends of an N:N table).`;
  if (isPrivilegeFault(fault)) return privilegeHint(fault);
  return `Dataverse does not support an option of the request together with change tracking on ${table}.`;
}

const markers = [Buffer.from('deletedEntity'), Buffer.from('@removed'), Buffer.from('@odata.removed')];

/**
 * The id of the deleted row, in lower case, if a record of a delta is a tombstone:
 * `{"@odata.context":"…/$metadata#accounts/$deletedEntity","id":"…","reason":"deleted"}`, or in OData 4.01
 * `{"@removed":{…},"@id":"accounts(…)"}`. Undefined for any other record.
 */
export function parseTombstone(record: Uint8Array): { id: string } | undefined {
  const bytes = Buffer.from(record.buffer, record.byteOffset, record.byteLength);
  if (!markers.some((marker) => bytes.includes(marker))) return undefined;
  let members: Record<string, unknown>;
  try {
    // A column's text may contain the marker, so the record must be parsed.
    members = JSON.parse(bytes.toString()) as Record<string, unknown>;
  } catch {
    return undefined;
  }
  return tombstoneOf(members);
}

/** The same for a record that is parsed already. */
export function tombstoneOf(members: Readonly<Record<string, unknown>>): { id: string } | undefined {
  const context = members['@odata.context'] ?? members['@context'];
  const isDeleted = typeof context === 'string' && /(^|[/#])\$deletedEntity$/.test(context);
  if (!isDeleted && !('@removed' in members) && !('@odata.removed' in members)) return undefined;
  const id = members['id'] ?? members['@id'] ?? members['@odata.id'];
  if (typeof id !== 'string') return undefined;
  const inKey = /\(([^()]*)\)$/.exec(id)?.[1] ?? id;
  return inKey === '' ? undefined : { id: inKey.toLowerCase() };
}

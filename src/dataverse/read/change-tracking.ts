import { SyncError } from '../../errors.ts';
import { isPrivilegeFault, privilegeHint } from '../errors/error-response.ts';
import { type DataverseFault, dataverseFault, type FaultDetails, withFault } from '../errors/errors.ts';
import { codes } from '../errors/fault-codes.ts';

/**
 * Why a change-tracked read could not be used.
 * - `expired`: the token is older than the environment keeps changes (7 days by default), or the table's
 *   definition changed: read everything again
 * - `not-enabled`: the table, or one end of an N:N table, does not track changes
 * - `refused`: organisation-level read is missing, or an option is not supported together with tracking
 *
 * learn.microsoft.com: "Use change tracking to synchronize data with external systems".
 */
export type ChangeTrackingReason = 'expired' | 'not-enabled' | 'refused';

export class ChangeTrackingError extends withFault(SyncError) {
  override readonly name: string = 'ChangeTrackingError';
  readonly reason: ChangeTrackingReason;
  constructor(message: string, details: FaultDetails & { reason: ChangeTrackingReason }) {
    super(message, details);
    this.reason = details.reason;
  }
}

/** Whether a link carries a delta token. Such a link needs no `Prefer: odata.track-changes`. */
export function isDeltaLink(link: string): boolean {
  return /[?&](\$|%24)deltatoken=/i.test(link);
}

/** The typed outcome for a failed read with change tracking; any other error as it is. */
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
  // 401 and the missing application user concern everything, not this table's tracking.
  return isPrivilegeFault(fault) ? 'refused' : undefined;
}

function hintOf(reason: ChangeTrackingReason, fault: DataverseFault): string {
  const table = fault.entity ?? 'the table';
  if (reason === 'expired') return `The changes of ${table} are no longer kept: read it wholly again.`;
  if (reason === 'not-enabled') return `Turn on "Track changes" for ${table} (both ends of an N:N table).`;
  if (isPrivilegeFault(fault)) return privilegeHint(table, true);
  return `Dataverse refuses an option of the request together with change tracking on ${table}.`;
}

const markers = [Buffer.from('deletedEntity'), Buffer.from('@removed'), Buffer.from('@odata.removed')];

/**
 * The id of a deleted row, in lower case, if a record of a delta is a tombstone:
 * `{"@odata.context":"…/$metadata#accounts/$deletedEntity","id":"…","reason":"deleted"}`, or in the
 * form of OData 4.01 `{"@removed":{…},"@id":"accounts(…)"}`. Undefined for every other record.
 */
export function parseTombstone(record: Uint8Array): { id: string } | undefined {
  const bytes = Buffer.from(record.buffer, record.byteOffset, record.byteLength);
  if (!markers.some((marker) => bytes.includes(marker))) return undefined;
  let members: Record<string, unknown>;
  try {
    // The marker may stand in a column's text, so the record is read properly before it is believed.
    members = JSON.parse(bytes.toString()) as Record<string, unknown>;
  } catch {
    return undefined;
  }
  const context = members['@odata.context'] ?? members['@context'];
  const isDeleted = typeof context === 'string' && /(^|[/#])\$deletedEntity$/.test(context);
  if (!isDeleted && !('@removed' in members) && !('@odata.removed' in members)) return undefined;
  const id = members['id'] ?? members['@id'] ?? members['@odata.id'];
  if (typeof id !== 'string' || id === '') return undefined;
  const inKey = /\(([^()]*)\)$/.exec(id)?.[1];
  return { id: (inKey ?? id).toLowerCase() };
}

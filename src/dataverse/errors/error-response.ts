import type { HttpHeaders } from '@azure/core-rest-pipeline';
import type { SyncError } from '../../errors.ts';
import { safeLine } from '../../safe-text.ts';
import {
  DataverseConfigurationError,
  DataverseConflictError,
  DataverseError,
  type DataverseFault,
  DataverseRetriableError,
  DataverseSkipError,
  type WithFault,
} from './errors.ts';
import { codes, isTransient, normalizeCode } from './fault-codes.ts';
import { parseRetryAfter } from './rate-limit-headers.ts';

/** What the caller knows about a request, for errors and logs. */
export type RequestNames = Pick<
  DataverseFault,
  'operation' | 'entitySet' | 'method' | 'clientRequestId' | 'correlationId'
>;

/** The id of a request that Microsoft support asks for. Undefined if the header has another text. */
export function requestIdOf(headers: HttpHeaders): string | undefined {
  const id = headers.get('x-ms-service-request-id') ?? headers.get('req_id');
  return id !== undefined && /^[\w-]{1,64}$/.test(id) ? id : undefined;
}

/** A message from the server on one line, without secrets, shortened. */
export function shortMessage(text: string): string {
  // Much longer than what is shown. The patterns of secrets are slow on texts that are made for that.
  const safe = safeLine(text.replace(/\s+/g, ' ').slice(0, 4000));
  return safe.length > 400 ? `${safe.slice(0, 400)}…` : safe;
}

/** Parses `{"error":{"code","message"}}`. For any other body, the message states its size and content type. */
export function parseErrorBody(body: Uint8Array, contentType: string | undefined) {
  const text = Buffer.from(body.buffer, body.byteOffset, Math.min(body.byteLength, 1024 ** 2)).toString();
  try {
    const { error } = JSON.parse(text.replace(/^\uFEFF/, ''));
    if (error && typeof error === 'object') {
      const message = typeof error.message === 'string' ? shortMessage(error.message) : '';
      const bulkRows = bulkRowsOf(error[bulkDetails]);
      return { isJson: true, code: normalizeCode(error.code), message, bulkRows };
    }
  } catch {
    // Gateways respond with HTML, proxies with nothing.
  }
  const kind = (contentType?.split(';')[0] ?? '').trim().slice(0, 60) || 'no content type';
  const what = body.byteLength === 0 ? 'an empty body' : `${body.byteLength} bytes of ${kind}`;
  return { isJson: false, code: undefined, message: `the response was ${what}` };
}

const bulkDetails = '@Microsoft.PowerApps.CDS.ErrorDetails.Plugin.BulkApiErrorDetails';

/** `[{"RequestIndex":0,"Id":"…","StatusCode":204}]` as text (learn.microsoft.com: "Use bulk operation messages"). */
function bulkRowsOf(text: unknown): DataverseFault['bulkRows'] {
  if (typeof text !== 'string') return undefined;
  try {
    const list: unknown = JSON.parse(text);
    if (!Array.isArray(list)) return undefined;
    return list.map(({ RequestIndex: index, Id: id, StatusCode: status }) => ({
      index: Number(index),
      id: typeof id === 'string' ? id.toLowerCase() : undefined,
      status: Number(status),
    }));
  } catch {
    return undefined;
  }
}

/** The error for a response whose status is not a success. */
export function errorFromResponse(
  names: RequestNames,
  status: number,
  headers: HttpHeaders,
  body: Uint8Array,
): Error & { fault: DataverseFault } {
  const { isJson, code, message, bulkRows } = parseErrorBody(body, headers.get('content-type'));
  // An elastic table has written some rows already: the request must not be repeated as a whole.
  const isPartlyDone = bulkRows !== undefined && bulkRows.length > 0;
  const isKnownTransient = !isPartlyDone && isTransient(status, code, message);
  // An unexpected error of the server often passes. A write is not repeated: it may have happened.
  const isUnexplained = !isPartlyDone && !isKnownTransient && status === 500 && names.method === 'GET';
  const fault: DataverseFault = {
    ...names,
    status,
    code,
    serverMessage: message,
    bulkRows,
    requestId: requestIdOf(headers),
    retryAfterSeconds: parseRetryAfter(headers.get('retry-after'), headers.get('date')),
    transient: isKnownTransient || isUnexplained,
    maxTries: isUnexplained ? triesOfUnexplained : undefined,
  };
  const [Class, hint] = consequence(fault, isJson);
  const statusAndCode = code === undefined ? status : `${status} ${code}`;
  return new Class(`Cannot ${names.operation}: status ${statusAndCode}: ${message}`, { fault, hint });
}

/** How often a read is sent that fails with status 500: some five seconds in all. */
const triesOfUnexplained = 4;

type Consequence = [Class: WithFault<SyncError>, hint?: string | undefined];

const hints = {
  busy: 'Dataverse is busy: try again later.',
  token:
    "Dataverse rejected the token: check that the identity belongs to the environment's tenant and that the URL is the environment's.",
  noUser:
    'The identity has no application user in this environment: create one with its client id and assign it a security role.',
  redirect: 'Redirects are not followed: use the URL of the environment itself.',
  noService: 'No Dataverse environment responds at this URL: check it.',
  conflict: 'The row already exists or has changed: read it again.',
  tooLarge: 'The request is too large: send fewer rows per request.',
  unsupported: 'The table does not support a column or an option of the request.',
};

/** The error class, by which the caller decides, and the hint. */
function consequence(fault: DataverseFault, isJson: boolean): Consequence {
  const { status = 0, code, entitySet: table = 'the table' } = fault;
  // A failed read affects one table, a failed write one row.
  const isRead = fault.method === 'GET';
  const rejected = isRead ? DataverseSkipError : DataverseError;
  if (fault.transient) return [DataverseRetriableError, hints.busy];
  if (status === 401) return [DataverseConfigurationError, hints.token];
  if (code === codes.notAMember) return [DataverseConfigurationError, hints.noUser];
  if (isPrivilegeFault(fault)) return [DataverseSkipError, privilegeHint(fault)];
  if (status === 403) return [DataverseSkipError, `Access to ${table} is forbidden.`];
  if (status >= 300 && status < 400) return [DataverseConfigurationError, hints.redirect];
  if (status === 404 && !isJson) return [DataverseConfigurationError, hints.noService];
  if (code === codes.objectDoesNotExist || code === codes.noRowWithThatKey) return [DataverseError];
  if (code === codes.resourceNotFound || (status === 404 && isRead)) {
    const hint = `Check the name ${table}: entity set names are case-sensitive and irregular.`;
    return [DataverseSkipError, hint];
  }
  if (code === codes.noRetrieveMultiple) {
    return [
      DataverseSkipError,
      `Dataverse does not allow reading the rows of ${table}. In the sync, leave the table out.`,
    ];
  }
  if (status === 412) return [DataverseConflictError, hints.conflict];
  if (status === 413) return [DataverseError, hints.tooLarge];
  if (status < 500) return [rejected, code === codes.queryRefused ? hints.unsupported : undefined];
  return [status === 501 ? rejected : DataverseRetriableError];
}

/** What to do about a missing privilege, which Dataverse mostly names (`is missing prvReadAccount privilege`). */
export function privilegeHint({ entitySet, method, serverMessage = '' }: DataverseFault): string {
  const table = entitySet ?? 'the table';
  const action = actions[method ?? 'GET'] ?? 'Write';
  const named = /\bprv[A-Z]\w+/.exec(serverMessage)?.[0];
  const usual = entitySet === 'EntityDefinitions' ? 'prvReadEntity' : `prv${action} of the table ${table}`;
  return `The application user lacks the privilege ${named ?? usual}${named === undefined ? '' : ` (${table})`}: add it to its security role, at organisation level.`;
}

const actions: Record<string, string> = { GET: 'Read', POST: 'Create', PATCH: 'Write', DELETE: 'Delete' };

/** Whether the identity lacks a privilege, by code or by a message that names one (`missing prvReadAccount`). */
export function isPrivilegeFault(fault: DataverseFault): boolean {
  if (fault.code === codes.privilegeDenied || fault.code === codes.principalPrivilegeDenied) return true;
  return fault.status === 403 && /\bprv[A-Z]\w+|privilege/i.test(fault.serverMessage ?? '');
}

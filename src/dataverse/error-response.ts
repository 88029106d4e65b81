import type { HttpHeaders } from '@azure/core-rest-pipeline';
import type { ErrorDetails } from '../errors.ts';
import {
  DataverseConfigurationError,
  DataverseConflictError,
  DataverseError,
  type DataverseFault,
  DataverseRetriableError,
  DataverseSkipError,
} from './errors.ts';
import { codes, isTransient, normalizeCode } from './fault-codes.ts';
import { parseRetryAfter } from './rate-limit-headers.ts';

/** What the caller knows about a request, for errors and logs. */
export interface RequestNames {
  operation: string;
  entity?: string | undefined;
  clientRequestId?: string | undefined;
  correlationId?: string | undefined;
  /** Reads that fail stop one table; writes that fail stop one row. */
  isRead: boolean;
}

/** The server's own sentence, on one line, shortened, without anything that looks like a token. */
export function shortMessage(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  const safe = line
    .replace(/\beyJ[\w-]+\.[\w-]+(\.[\w-]*)?/g, '[token]')
    .replace(/\bBearer\s+[^\s,;]+/gi, 'Bearer [token]');
  return safe.length > 400 ? `${safe.slice(0, 400)}…` : safe;
}

/** Reads `{"error":{"code","message"}}`; a body that is something else is described by its kind. */
export function parseErrorBody(body: Uint8Array, contentType: string | undefined) {
  const text = Buffer.from(body.buffer, body.byteOffset, Math.min(body.byteLength, 65_536)).toString();
  try {
    const error = (
      JSON.parse(text.replace(/^\uFEFF/, '')) as { error?: { code?: unknown; message?: unknown } }
    ).error;
    if (error && typeof error === 'object') {
      const message = typeof error.message === 'string' ? shortMessage(error.message) : '';
      return { isJson: true, code: normalizeCode(error.code), message };
    }
  } catch {
    // Gateways answer with HTML, proxies with nothing: the kind is all there is to say.
  }
  const kind = (contentType?.split(';')[0] ?? '').trim().slice(0, 60) || 'no content type';
  const what = body.byteLength === 0 ? 'an empty body' : `${body.byteLength} bytes of ${kind}`;
  return { isJson: false, code: undefined, message: `the answer was ${what}` };
}

/** The error for an answer whose status is not a success. */
export function errorFromResponse(
  names: RequestNames,
  status: number,
  headers: HttpHeaders,
  body: Uint8Array,
): Error & { fault: DataverseFault } {
  const parsed = parseErrorBody(body, headers.get('content-type'));
  const fault: DataverseFault = {
    status,
    code: parsed.code,
    serverMessage: parsed.message,
    operation: names.operation,
    entity: names.entity,
    requestId: headers.get('x-ms-service-request-id') ?? headers.get('req_id'),
    clientRequestId: names.clientRequestId,
    correlationId: names.correlationId,
    retryAfterSeconds: parseRetryAfter(headers.get('retry-after'), headers.get('date')),
    transient: isTransient(status, parsed.code, parsed.message),
  };
  return errorFromFault(fault, names.isRead, parsed.isJson);
}

type FaultClass = new (
  message: string,
  details: ErrorDetails & { fault: DataverseFault },
) => Error & { fault: DataverseFault };

/** Chooses the class by consequence and adds the hint. */
export function errorFromFault(
  fault: DataverseFault,
  isRead: boolean,
  isJson = true,
): Error & { fault: DataverseFault } {
  const [Class, hint] = consequence(fault, isRead, isJson);
  const code = fault.code === undefined ? '' : ` ${fault.code}`;
  const message = `Cannot ${fault.operation}: status ${fault.status}${code}: ${fault.serverMessage}`;
  return new Class(message, { fault, operation: fault.operation, object: fault.entity, hint });
}

function consequence(fault: DataverseFault, isRead: boolean, isJson: boolean): [FaultClass, string?] {
  const { status = 0, code, entity } = fault;
  const table = entity ?? 'the table';
  if (fault.transient) return [DataverseRetriableError, 'Dataverse is busy: try again later.'];
  if (status === 401) {
    return [
      DataverseConfigurationError,
      "Dataverse refused the token: check that the identity belongs to the environment's tenant and that the address is the environment's own.",
    ];
  }
  if (code === codes.notAMember) {
    return [
      DataverseConfigurationError,
      'The identity has no application user in this environment: create one with its client id and give it a security role.',
    ];
  }
  if (isPrivilegeFault(fault)) {
    const privilege = isRead ? 'organisation-level read' : 'a privilege';
    return [
      DataverseSkipError,
      `The application user lacks ${privilege} on ${table}: add it to its security role.`,
    ];
  }
  if (status === 403) return [DataverseSkipError, `Access to ${table} is forbidden.`];
  if (status >= 300 && status < 400) {
    return [
      DataverseConfigurationError,
      'Redirects are not followed: use the address of the environment itself.',
    ];
  }
  if (status === 404 && !isJson) {
    return [
      DataverseConfigurationError,
      'Nothing answers there: check that the address is a Dataverse environment.',
    ];
  }
  if (code === codes.objectDoesNotExist || code === codes.noRowWithThatKey) return [DataverseError];
  if (code === codes.resourceNotFound || (status === 404 && isRead)) {
    return [
      DataverseSkipError,
      `Check the name ${table}: entity set names are case-sensitive and irregular.`,
    ];
  }
  if (code === codes.noRetrieveMultiple) {
    return [DataverseSkipError, `Dataverse does not let ${table} be read row by row: leave it out.`];
  }
  if (status === 412) return [DataverseConflictError, 'The row exists or changed meanwhile: read it again.'];
  if (status === 413) return [DataverseError, 'The request is too large: send fewer rows at once.'];
  if (status === 304 || status < 500) {
    const refused =
      code === codes.queryRefused ? 'A column or an option of the request is not supported here.' : undefined;
    return [isRead ? DataverseSkipError : DataverseError, refused];
  }
  return status === 501 ? [isRead ? DataverseSkipError : DataverseError] : [DataverseRetriableError];
}

/** Whether the identity lacks a privilege, by code or by the sentence that names it (`missing prvReadAccount`). */
export function isPrivilegeFault(fault: DataverseFault): boolean {
  if (fault.code === codes.privilegeDenied || fault.code === codes.principalPrivilegeDenied) return true;
  return fault.status === 403 && /\bprv[A-Z]\w+|privilege/i.test(fault.serverMessage ?? '');
}

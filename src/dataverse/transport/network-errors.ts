import type { RequestNames } from '../errors/error-response.ts';
import {
  DataverseConfigurationError,
  DataverseRetriableError,
  DataverseSkipError,
  UnreadableBodyError,
  unusableResponse,
} from '../errors/errors.ts';
import { TokenTimeoutError } from './auth-policy.ts';
import { BodyError } from './response-body.ts';

/**
 * The error for a request without a complete response.
 * It omits the HTTP library's error as its cause, because that contains the request and thus the token.
 * @param timedOutAfter seconds, if the client ended the attempt
 */
export function errorFromNetwork(names: RequestNames, error: unknown, timedOutAfter?: number): Error {
  const { code, message } = error as { code?: string; message?: string };
  const isBody = error instanceof BodyError;
  const isCertificate = /CERT|^ERR_TLS|SELF_SIGNED|UNABLE_TO_VERIFY/.test(code ?? '');
  let what = 'the connection failed';
  const lacksToken = error instanceof TokenTimeoutError;
  if (lacksToken && timedOutAfter !== undefined) what = `no token within ${timedOutAfter} seconds`;
  else if (timedOutAfter !== undefined) what = `no complete response within ${timedOutAfter} seconds`;
  else if (isBody) what = `the body cannot be read: ${message}`;
  else if (code === 'HPE_HEADER_OVERFLOW') what = 'the headers of the response are too long';
  else if (/^HPE_/.test(code ?? '')) what = 'the response is not valid HTTP';
  else if (code === 'ECONNRESET' || code === 'ERR_STREAM_PREMATURE_CLOSE') what = 'the connection was reset';
  const fault = {
    ...names,
    code: timedOutAfter === undefined ? code : 'TIMEOUT',
    serverMessage: what,
    transient: !isCertificate,
    notSent: lacksToken,
  };
  const hint = isCertificate ? hints.certificate : hints[code as keyof typeof hints];
  const text = `Cannot ${names.operation}: ${what}${code === undefined ? '' : ` (${code})`}`;
  if (isCertificate) return new DataverseConfigurationError(text, { fault, hint });
  if (isBody && error.isTooLarge && names.method === 'GET') {
    return new DataverseSkipError(text, {
      fault: { ...fault, transient: false },
      hint: names.operation.startsWith('read page') ? hints.tooLarge : hints.unusable,
    });
  }
  if ((isBody && !error.isCutShort) || /^HPE_/.test(code ?? '')) {
    return unusableResponse(text, { fault, hint: hints.unusable });
  }
  return new (isBody ? UnreadableBodyError : DataverseRetriableError)(text, { fault, hint });
}

const hints = {
  unusable: 'Something between this app and Dataverse changed the response: check proxies and gateways.',
  tooLarge:
    'Read fewer rows per page, or leave out columns with large contents. In the sync, these are the setting DATAVERSE_PAGE_SIZE and "columns" in entities.json.',
  certificate: "The server's certificate is not trusted: check the URL, or add its certificate authority.",
  ENOTFOUND: 'The host does not exist: check the Dataverse URL.',
  ECONNREFUSED: 'No server listens at this address: check the Dataverse URL.',
};

/** The error for a request that was not sent, because the server asked for a longer pause than the call may last. */
export function errorFromPause(names: RequestNames, seconds: number): DataverseRetriableError {
  const serverMessage = 'service protection limit';
  const fault = { ...names, serverMessage, retryAfterSeconds: seconds, transient: true, notSent: true };
  const text = `Cannot ${names.operation}: Dataverse asked to wait ${seconds} seconds`;
  return new DataverseRetriableError(text, { fault, hint: 'Dataverse is busy: try again after that time.' });
}

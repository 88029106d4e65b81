import { faultOf, type RequestNames } from '../errors/error-response.ts';
import {
  DataverseConfigurationError,
  DataverseRetriableError,
  UnreadableBodyError,
} from '../errors/errors.ts';
import { BodyFault } from './response-body.ts';

/**
 * The error for a request that got no whole answer.
 * The library's own error is not kept as the cause: it holds the request, and that holds the token.
 * @param timedOutAfter seconds, where the client itself ended the try
 */
export function errorFromNetwork(names: RequestNames, error: unknown, timedOutAfter?: number): Error {
  const { code, message } = error as { code?: string; message?: string };
  const isBody = error instanceof BodyFault;
  const isCertificate = /CERT|^ERR_TLS|SELF_SIGNED|UNABLE_TO_VERIFY/.test(code ?? '');
  let what = 'the connection failed';
  if (timedOutAfter !== undefined) what = `no whole answer within ${timedOutAfter} seconds`;
  else if (isBody) what = `the body cannot be read: ${message}`;
  else if (code === 'ECONNRESET' || code === 'ERR_STREAM_PREMATURE_CLOSE') what = 'the connection was cut';
  const fault = faultOf(names, {
    code: timedOutAfter === undefined ? code : 'TIMEOUT',
    serverMessage: what,
    transient: !isCertificate,
  });
  const hint = isCertificate ? hints.certificate : hints[code as keyof typeof hints];
  const text = `Cannot ${names.operation}: ${what}${code === undefined ? '' : ` (${code})`}`;
  if (isCertificate) return new DataverseConfigurationError(text, { fault, hint });
  return new (isBody ? UnreadableBodyError : DataverseRetriableError)(text, { fault, hint });
}

const hints = {
  certificate: "The server's certificate is not trusted: check the address, or add its authority.",
  ENOTFOUND: 'The host is unknown: check the Dataverse address.',
  ECONNREFUSED: 'Nothing listens there: check the Dataverse address.',
};

/** The error for a request that was not sent, since the server asked everybody to wait longer than it can. */
export function errorFromPause(names: RequestNames, seconds: number): DataverseRetriableError {
  const said = { serverMessage: 'service protection limit', retryAfterSeconds: seconds, transient: true };
  const text = `Cannot ${names.operation}: Dataverse asked to wait ${seconds} seconds`;
  const hint = 'Dataverse is busy: try again after that time.';
  return new DataverseRetriableError(text, { fault: faultOf(names, said), hint });
}

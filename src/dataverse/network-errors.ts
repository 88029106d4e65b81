import { faultOf, type RequestNames } from './error-response.ts';
import { DataverseConfigurationError, DataverseRetriableError, UnreadableBodyError } from './errors.ts';
import { BodyFault } from './response-body.ts';

/**
 * The error for a request that got no whole answer.
 * The library's own error is not kept as the cause: it holds the request, and that holds the token.
 * @param timedOutAfter seconds, where the client itself ended the try
 */
export function errorFromNetwork(names: RequestNames, error: unknown, timedOutAfter?: number): Error {
  const { code, message } = error as { code?: string; message?: string };
  const isBody = error instanceof BodyFault;
  const what =
    timedOutAfter !== undefined
      ? `no whole answer within ${timedOutAfter} seconds`
      : isBody
        ? `the body cannot be read: ${message}`
        : code === 'ECONNRESET' || code === 'ERR_STREAM_PREMATURE_CLOSE'
          ? 'the connection was cut'
          : 'the connection failed';
  const certificate = isCertificateFault(code);
  const fault = faultOf(names, {
    code: timedOutAfter === undefined ? code : 'TIMEOUT',
    serverMessage: what,
    transient: !certificate,
  });
  const details = { fault, hint: hintFor(code, certificate) };
  const text = `Cannot ${names.operation}: ${what}${code === undefined ? '' : ` (${code})`}`;
  if (certificate) return new DataverseConfigurationError(text, details);
  return isBody ? new UnreadableBodyError(text, details) : new DataverseRetriableError(text, details);
}

function isCertificateFault(code: string | undefined): boolean {
  return code !== undefined && /CERT|^ERR_TLS|SELF_SIGNED|UNABLE_TO_VERIFY/.test(code);
}

function hintFor(code: string | undefined, certificate: boolean): string | undefined {
  if (certificate) return "The server's certificate is not trusted: check the address, or add its authority.";
  if (code === 'ENOTFOUND') return 'The host is unknown: check the Dataverse address.';
  if (code === 'ECONNREFUSED') return 'Nothing listens there: check the Dataverse address.';
  return undefined;
}

/** The error for a request that was not sent, since the server asked everybody to wait longer than it can. */
export function errorFromPause(names: RequestNames, seconds: number): DataverseRetriableError {
  const said = { serverMessage: 'service protection limit', retryAfterSeconds: seconds, transient: true };
  return new DataverseRetriableError(
    `Cannot ${names.operation}: Dataverse asked to wait ${seconds} seconds`,
    {
      fault: faultOf(names, said),
      hint: 'Dataverse is busy: try again after that time.',
    },
  );
}

import { STATUS_CODES } from 'node:http';
import { dataverseFault } from '../dataverse/errors/errors.ts';
import { ConflictError, RetriableError, SyncError } from '../errors.ts';

/** A problem document, `application/problem+json` (RFC 9457). */
interface ProblemDocument extends ProblemMembers {
  type: 'about:blank';
  /** The status phrase: section 4.2.1 asks for it where the type is `about:blank`. */
  title: string;
  status: number;
  detail: string;
}

interface ProblemMembers {
  /** What the caller can do about it. */
  hint?: string;
  /** Members of one route, such as `errors` or `runId`. */
  [member: string]: unknown;
}

/**
 * A response that is not a success. Throw it from any depth of a handler.
 * @example throw new Problem(404, `Run ${runId} not found.`, { hint: 'GET /api/sync lists the latest runs.' });
 */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly document: ProblemDocument;
  readonly headers: Record<string, string>;

  constructor(
    status: number,
    detail: string,
    members: ProblemMembers = {},
    headers: Record<string, string> = {},
  ) {
    super(detail);
    this.document = { type: 'about:blank', title: STATUS_CODES[status]!, status, detail, ...members };
    this.headers = headers;
  }
}

/** Seconds in `Retry-After` if the error names none. */
const defaultRetrySeconds = 5;

/**
 * The answer to an error. Errors of this project carry messages for callers. The message of any other error is
 * internal and stays in the log.
 * - 503 with `Retry-After`: the same request may succeed later
 * - 502: Dataverse rejected the request, or rejects this app
 * - 500: settings, storage or code of this app are at fault
 */
export function problemOf(error: unknown, members: ProblemMembers = {}): Problem {
  if (error instanceof Problem) return error;
  if (!(error instanceof SyncError)) {
    const hint = 'The log of the function app has the error.';
    return new Problem(500, 'The function app failed to handle the request.', { hint, ...members });
  }
  const { message } = error;
  if (error instanceof RetriableError || error instanceof ConflictError) {
    const asked = error instanceof RetriableError ? error.retryAfterSeconds : undefined;
    const seconds = Math.max(1, Math.ceil(asked ?? defaultRetrySeconds));
    const hint = error.hint ?? `Send the request again in ${seconds} s.`;
    return new Problem(503, message, { hint, ...members }, { 'retry-after': String(seconds) });
  }
  const isDataverse = dataverseFault(error) !== undefined || dataverseFault(error.cause) !== undefined;
  return new Problem(isDataverse ? 502 : 500, message, { hint: error.hint, ...members });
}

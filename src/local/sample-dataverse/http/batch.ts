import { STATUS_CODES } from 'node:http';
import type { Store } from '../rows/store.ts';
import { errorResponse } from './error-response.ts';
import { Fragment } from './fragment.ts';
import { parsePreferences } from './preferences.ts';
import { badRequest, ServiceError } from './service-error.ts';
import { apiRoot, type ServiceRequest, type ServiceResponse } from './service-request.ts';

/** The limit of the service (learn.microsoft.com: Execute batch operations using the Web API). */
const maxRequests = 1000;

type Answer = (request: ServiceRequest) => ServiceResponse;

interface Part {
  headers: Record<string, string>;
  body: string;
}

/**
 * Answers `POST /$batch`: requests run in order, a change set runs as a whole. The first failure ends the batch
 * with its own status, unless the request says `Prefer: odata.continue-on-error`.
 */
export function answerBatch(request: ServiceRequest, answer: Answer, store: Store): ServiceResponse {
  if (request.method !== 'POST') throw new ServiceError(405, '0x80060888', '$batch is posted.');
  const parts = partsOf(request.headers['content-type'], request.body.toString('utf8'));
  const changeSets = parts.map((part) =>
    /^multipart\/mixed/i.test(part.headers['content-type'] ?? '')
      ? partsOf(part.headers['content-type'], part.body)
      : undefined,
  );
  const total = changeSets.reduce((sum, changes) => sum + (changes?.length ?? 1), 0);
  if (total > maxRequests) {
    throw badRequest(`The number of operations in the batch exceeded the limit of ${maxRequests}.`);
  }
  const { continueOnError } = parsePreferences(request.headers['prefer']);
  const boundary = `batchresponse_${crypto.randomUUID()}`;
  const lines: string[] = [];
  let status = 200;
  for (const [index, part] of parts.entries()) {
    const changes = changeSets[index];
    const outcome =
      changes === undefined
        ? single(answer, embedded(request, part, new Map()))
        : changeSet(request, changes, answer, store);
    lines.push(`--${boundary}`, outcome.text);
    if (outcome.status >= 400 && !continueOnError) {
      status = outcome.status;
      break;
    }
  }
  lines.push(`--${boundary}--`, '');
  return {
    status,
    headers: { 'content-type': `multipart/mixed; boundary=${boundary}`, 'odata-version': '4.0' },
    body: [new Fragment(lines.join('\r\n'))],
  };
}

interface Outcome {
  status: number;
  text: string;
}

function single(answer: Answer, request: ServiceRequest, contentId?: string): Outcome {
  const response = settle(answer, request);
  return { status: response.status, text: partText(response, contentId) };
}

function settle(answer: Answer, request: ServiceRequest): ServiceResponse {
  try {
    return answer(request);
  } catch (error) {
    if (error instanceof ServiceError) return errorResponse(error, request);
    throw error;
  }
}

/** Thrown to roll a change set back. Carries the response of the change that failed. */
class ChangeSetFailure extends Error {
  readonly outcome: Outcome;
  constructor(outcome: Outcome) {
    super('the change set failed');
    this.outcome = outcome;
  }
}

/** Writes all changes or none. A change refers to the row of an earlier one as `$1`. */
function changeSet(request: ServiceRequest, changes: readonly Part[], answer: Answer, store: Store): Outcome {
  const boundary = `changesetresponse_${crypto.randomUUID()}`;
  try {
    const parts = store.transaction(() => {
      const ids = new Map<string, string>();
      return changes.map((part) => {
        const inner = embedded(request, part, ids);
        if (inner.method === 'GET') throw badRequest('A GET request is not allowed in a change set.');
        const contentId = part.headers['content-id'];
        const response = settle(answer, inner);
        if (response.status >= 400) {
          throw new ChangeSetFailure({ status: response.status, text: partText(response, contentId) });
        }
        const created = response.headers['odata-entityid'];
        if (contentId !== undefined && created !== undefined) ids.set(contentId, created);
        return partText(response, contentId);
      });
    });
    const lines = parts.flatMap((text) => [`--${boundary}`, text]);
    const head = `Content-Type: multipart/mixed; boundary=${boundary}\r\n`;
    return { status: 200, text: [head, ...lines, `--${boundary}--`, ''].join('\r\n') };
  } catch (error) {
    if (error instanceof ChangeSetFailure) return error.outcome;
    throw error;
  }
}

function partText(response: ServiceResponse, contentId: string | undefined): string {
  const headers = { ...response.headers };
  const id = headers['odata-entityid'];
  if (id !== undefined) headers['location'] = id;
  const lines = ['Content-Type: application/http', 'Content-Transfer-Encoding: binary'];
  if (contentId !== undefined) lines.push(`Content-ID: ${contentId}`);
  return [
    ...lines,
    '',
    `HTTP/1.1 ${response.status} ${STATUS_CODES[response.status] ?? ''}`,
    ...Object.entries(headers).map(([name, value]) => `${writtenNames.get(name) ?? name}: ${value}`),
    '',
    response.body.map((fragment) => fragment.bytes.toString('utf8')).join(''),
  ].join('\r\n');
}

/** The names of headers inside a part, in the service's own case. */
const writtenNames = new Map(
  [
    'Content-Type',
    'ETag',
    'Location',
    'OData-EntityId',
    'OData-Version',
    'Preference-Applied',
    'Retry-After',
  ].map((name) => [name.toLowerCase(), name]),
);

/** The parts between the boundaries. As in the service, lines must end in CRLF. */
function partsOf(contentType: string | undefined, body: string): Part[] {
  const boundary = /boundary="?([^";]+)"?/i.exec(contentType ?? '')?.[1];
  if (boundary === undefined) {
    throw badRequest('The content type of a batch is multipart/mixed with a boundary.', '0x80048d19');
  }
  const sections = `\r\n${body}`.split(`\r\n--${boundary}`);
  const end = sections.pop();
  if (sections.length === 0 || end === undefined || !/^--(\r\n|$)/.test(end)) throw unreadable();
  return sections.slice(1).map((section) => {
    if (!section.startsWith('\r\n')) throw unreadable();
    const { head, rest } = splitHead(section.slice(2));
    return { headers: headersOf(head), body: rest };
  });
}

function splitHead(text: string): { head: string; rest: string } {
  const at = text.startsWith('\r\n') ? 0 : text.indexOf('\r\n\r\n');
  if (at < 0) throw unreadable();
  const head = text.slice(0, at);
  if (/[^\r]\n/.test(head)) throw unreadable();
  return { head, rest: text.slice(at === 0 ? 2 : at + 4) };
}

function headersOf(head: string): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const line of head.split('\r\n')) {
    const at = line.indexOf(':');
    if (at > 0) headers[line.slice(0, at).trim().toLowerCase()] = line.slice(at + 1).trim();
  }
  return headers;
}

function unreadable(): ServiceError {
  return badRequest(
    'Error identified in Payload provided by the user: Stream was not readable.',
    '0x80048d19',
  );
}

/** The request inside a part: `POST /api/data/v9.2/accounts HTTP/1.1`, with a path or an absolute or relative URL. */
function embedded(outer: ServiceRequest, part: Part, ids: ReadonlyMap<string, string>): ServiceRequest {
  const lineEnd = part.body.indexOf('\r\n');
  const line = part.body.slice(0, lineEnd < 0 ? undefined : lineEnd);
  const [, method, url] = /^([A-Z]+) (\S+) HTTP\/1\.1$/.exec(line) ?? [];
  if (method === undefined || url === undefined) throw unreadable();
  const { head, rest } = splitHead(lineEnd < 0 ? '\r\n' : part.body.slice(lineEnd + 2));
  const address = resolveIds(url, ids).replace(/^https?:\/\/[^/]+/, '');
  const full = address.startsWith('/') ? address : `${apiRoot}/${address}`;
  const at = full.indexOf('?');
  return {
    method,
    origin: outer.origin,
    path: decodeURIComponent(at < 0 ? full : full.slice(0, at)),
    query: at < 0 ? '' : full.slice(at + 1),
    headers: headersOf(head),
    body: Buffer.from(resolveBody(rest, ids)),
    inBatch: true,
  };
}

/** `$1` is the URL of the row that the part with Content-ID 1 created. A body quotes it: `"$1"`. */
function resolveIds(url: string, ids: ReadonlyMap<string, string>): string {
  return url.replace(/^\/?\$(\w+)/, (reference, id: string) => ids.get(id) ?? reference);
}

function resolveBody(body: string, ids: ReadonlyMap<string, string>): string {
  return body.replace(/"\$(\w+)"/g, (reference, id: string) => {
    const address = ids.get(id);
    return address === undefined ? reference : JSON.stringify(address);
  });
}

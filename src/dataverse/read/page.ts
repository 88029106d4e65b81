import { RetriableError } from '../../errors.ts';
import { type ExactTexts, parseWithTexts } from '../exact-texts.ts';
import type { Row } from '../transport/reply.ts';

/**
 * An option of a query without which the same rows can be read. Reads by id: `in` is the filter with a list of values,
 * `filter` any filter.
 */
export type QueryOption = 'order' | 'columns' | 'in' | 'filter';

/** One page as received, and where its rows are. */
export interface Page {
  /**
   * The decompressed body. The rows are in `body[recordsStart, recordsEnd)`: the content of the `value`
   * array, without its brackets.
   */
  body: Buffer;
  recordsStart: number;
  recordsEnd: number;
  /** The entity set that the rows belong to, if the response names one. */
  entitySet?: string;
  nextLink?: string;
  deltaLink?: string;
  /** `Microsoft.Dynamics.CRM.globalmetadataversion`, if requested. */
  metadataVersion?: string;
  /** `@odata.count`, if requested; 5,000 may mean more. */
  count?: number;
  /** `Microsoft.Dynamics.CRM.fetchxmlpagingcookie`, if requested. */
  fetchXmlCookie?: string;
  /** `Microsoft.Dynamics.CRM.morerecords`, if requested: whether a query in FetchXML has another page. */
  moreRecords?: boolean;
  /** Says that the body is not needed any more; `readPages` calls it when the caller requests the next page. */
  release?: () => void;
  /** The server's time before it read the rows, in milliseconds since 1970; undefined if it does not state its time. */
  requestedAt?: number;
  /** The numbers that `parseRows` gives as texts. */
  exact?: ExactTexts | undefined;
  /** The options that the server rejected, so that the read started again without them. */
  refused?: readonly QueryOption[];
}

/**
 * Parses the rows of a page. It costs far more than scanning them, and rounds numbers beyond the precision
 * of a double, except those that the request wanted as texts.
 * @throws RetriableError if the rows are not JSON; the message never quotes them
 */
export function parseRows(page: Page): Row[] {
  try {
    const rows = page.body.toString('utf8', page.recordsStart, page.recordsEnd);
    return parseWithTexts(`[${rows}]`, page.exact) as Row[];
  } catch {
    throw new RetriableError('The rows of a page are not JSON', { operation: 'parse rows' });
  }
}

/** The body is not a page. The message states kind and position, never content. */
export class PageFormatError extends Error {}

/** A response with status 200 that contains an error (OData in-stream error). */
export class InStreamError extends Error {
  readonly body: Buffer;
  constructor(body: Buffer) {
    super('the response contains an error');
    this.body = body;
  }
}

const quote = 0x22;
const backslash = 0x5c;
const closeBracket = 0x5d;

/** Limits of the envelope before and after the rows: context and link are at most as long as a URL. */
const maxHeadBytes = 131_072;
const maxTailBytes = 65_536;

/**
 * Finds the rows and links of a page without parsing the rows. The envelope without the rows is ordinary
 * JSON: members in any order, any white space, unknown members. Dataverse may put `@odata.deltaLink` before
 * `value` (learn.microsoft.com: "Use change tracking to synchronize data with external systems").
 * @throws PageFormatError if the body is not a JSON object, is cut short, or has no `value` array
 * @throws InStreamError if it has an `error` member
 */
export function scanPage(body: Buffer): Page {
  const start = findValue(body);
  if (start === undefined) throw withoutValue(body);
  const end = lastRowEnd(body, start) ?? closingBracket(body, start);
  const envelope = parseObject(body.toString('utf8', 0, start) + body.toString('utf8', end));
  if (envelope === undefined) throw notJson(body, 'the envelope around the rows');
  if ('error' in envelope) throw new InStreamError(Buffer.from(JSON.stringify(envelope)));
  if (!Array.isArray(envelope['value']) || envelope['value'].length > 0) {
    throw new PageFormatError('it has "value" more than once');
  }
  const page: Page = { body, recordsStart: start, recordsEnd: end };
  const nextLink = envelope['@odata.nextLink'] ?? envelope['@nextLink'];
  const deltaLink = envelope['@odata.deltaLink'] ?? envelope['@deltaLink'];
  const version = envelope['@Microsoft.Dynamics.CRM.globalmetadataversion'];
  const entitySet = entitySetOf(envelope['@odata.context'] ?? envelope['@context']);
  if (entitySet !== undefined) page.entitySet = entitySet;
  if (typeof nextLink === 'string') page.nextLink = nextLink;
  if (typeof deltaLink === 'string') page.deltaLink = deltaLink;
  if (typeof version === 'string' || typeof version === 'number') page.metadataVersion = String(version);
  const { '@odata.count': count } = envelope;
  const cookie = envelope['@Microsoft.Dynamics.CRM.fetchxmlpagingcookie'];
  const more = envelope['@Microsoft.Dynamics.CRM.morerecords'];
  if (typeof count === 'number') page.count = count;
  if (typeof cookie === 'string') page.fetchXmlCookie = cookie;
  // It is a boolean, but has been the text of one.
  if (more !== undefined) page.moreRecords = String(more) === 'true';
  return page;
}

/** `accounts`, from `https://…/$metadata#accounts(name)/$delta`; undefined for the context of another kind of result. */
function entitySetOf(context: unknown): string | undefined {
  const name = typeof context === 'string' ? /#(\w+)(?:[(/]|$)/.exec(context)?.[1] : undefined;
  return name === 'Collection' ? undefined : name;
}

/** Parses JSON; undefined if the text is not JSON. */
function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    return Object(JSON.parse(text.replace(/^\uFEFF/, ''))) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

function notJson(body: Buffer, where: string): PageFormatError {
  return new PageFormatError(`it is not JSON, or cut short after ${body.length} bytes: ${where}`);
}

function withoutValue(body: Buffer): Error {
  if (body.length === 0) return new PageFormatError('the body is empty');
  const envelope = body.length > maxHeadBytes + maxTailBytes ? undefined : parseObject(body.toString());
  if (envelope === undefined) return notJson(body, 'no "value" array was found');
  return 'error' in envelope ? new InStreamError(body) : new PageFormatError('it has no "value" array');
}

const valueName = Buffer.from('"value"');
const openBracket = 0x5b;
const colon = 0x3a;

/** The position after the opening bracket of the outermost `"value": [`. One pass over the head of the body. */
function findValue(body: Buffer): number | undefined {
  const head = body.subarray(0, maxHeadBytes);
  let depth = 0;
  for (let at = 0; at < head.length; at += 1) {
    const byte = head[at]!;
    if ((byte | 0x20) === 0x7b) depth += 1;
    else if ((byte | 0x20) === 0x7d) depth -= 1;
    if (byte !== quote) continue;
    const isMember = depth === 1 && valueName.equals(head.subarray(at, at + valueName.length));
    const end = stringEnd(head, at);
    if (end === undefined) return undefined;
    at = end - 1;
    if (!isMember) continue;
    // The text may also be a value, followed by no colon.
    const afterName = afterSpace(head, at + 1);
    if (head[afterName] !== colon) continue;
    const opening = afterSpace(head, afterName + 1);
    if (head[opening] === openBracket) return opening + 1;
  }
  return undefined;
}

/** The position of the first byte from `at` on that is not white space (RFC 8259). */
function afterSpace(body: Buffer, at: number): number {
  let next = at;
  while (body[next] === 0x20 || body[next] === 0x0a || body[next] === 0x0d || body[next] === 0x09) next += 1;
  return next;
}

/**
 * The last closing bracket of the body, which almost always ends the rows: this avoids a second pass over a
 * page of many megabytes. Undefined if the bracket may belong to another array.
 */
function lastRowEnd(body: Buffer, start: number): number | undefined {
  if (body.length - start < maxTailBytes) return undefined;
  const end = body.lastIndexOf(closeBracket);
  if (body.length - end > maxTailBytes) return undefined;
  if (parseObject(`{"value":[${body.toString('utf8', end)}`) === undefined) return undefined;
  // The opening bracket of another array after `value` would be near.
  let depth = 1;
  for (let at = end - 1; at > end - maxTailBytes; at -= 1) {
    const byte = body[at]!;
    if (byte === quote) at = startOfString(body, at);
    else if ((byte | 0x20) === 0x7d) depth += 1;
    else if ((byte | 0x20) === 0x7b) {
      depth -= 1;
      if (depth === 0) return undefined;
    }
  }
  return end;
}

/** The position of the bracket that closes the array whose content starts at `from`. */
function closingBracket(body: Buffer, from: number): number {
  let depth = 1;
  for (let at = from; at < body.length; at += 1) {
    const byte = body[at]!;
    if (byte === quote) at = endOfString(body, at) - 1;
    else if ((byte | 0x20) === 0x7b) depth += 1;
    else if ((byte | 0x20) === 0x7d) {
      depth -= 1;
      if (depth === 0) return at;
    }
  }
  throw new PageFormatError(`it is cut short after ${body.length} bytes, among the rows`);
}

/** The position after the closing quote of the string that starts at `from`; undefined if it does not end. */
function stringEnd(body: Buffer, from: number): number | undefined {
  for (let at = from + 1; at < body.length; at += 1) {
    const byte = body[at];
    if (byte === quote) return at + 1;
    if (byte === backslash) at += 1;
  }
  return undefined;
}

function endOfString(body: Buffer, from: number): number {
  const end = stringEnd(body, from);
  if (end !== undefined) return end;
  throw new PageFormatError(`it is cut short after ${body.length} bytes, in a string`);
}

/** The position of the opening quote of the string that ends at `from`: the nearest unescaped quote. */
function startOfString(body: Buffer, from: number): number {
  let at = from;
  for (;;) {
    at = body.lastIndexOf(quote, at - 1);
    let escapes = 0;
    while (body[at - 1 - escapes] === backslash) escapes += 1;
    if (at < 0 || escapes % 2 === 0) return at;
  }
}

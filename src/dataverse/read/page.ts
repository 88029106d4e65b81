import { RetriableError } from '../../errors.ts';

/** One page as it came, and where things stand in it. */
export interface Page {
  /**
   * The decompressed body. The rows stand in `body[recordsStart, recordsEnd)`: the inside of the
   * `value` array without its brackets.
   */
  body: Buffer;
  recordsStart: number;
  recordsEnd: number;
  nextLink?: string;
  deltaLink?: string;
  /** `Microsoft.Dynamics.CRM.globalmetadataversion`, where asked for. */
  metadataVersion?: string;
  /** Set when the server refused `$orderby` and the read was begun again without it. */
  orderRefused?: true;
}

/**
 * The rows of a page, parsed. For small reads: it costs far more than scanning, and numbers beyond a
 * double's exactness are not kept.
 * @throws RetriableError where they are no JSON, without their content
 */
export function parseRows(page: Page): Record<string, unknown>[] {
  try {
    return JSON.parse(`[${page.body.toString('utf8', page.recordsStart, page.recordsEnd)}]`);
  } catch {
    throw new RetriableError('The rows of a page are no JSON', { operation: 'parse rows' });
  }
}

/** Thrown by `scanPage`, with kind and position, never with content. */
export class PageFault extends Error {}

/** An answer of status 200 that carries an error after all (OData in-stream error). */
export class InStreamError extends Error {
  readonly body: Buffer;
  constructor(body: Buffer) {
    super('the answer holds an error');
    this.body = body;
  }
}

const quote = 0x22;
const backslash = 0x5c;
const closeBracket = 0x5d;

/** A page's envelope without its rows is small: a link and the context have a URL's length at most. */
const maxHeadBytes = 131_072;
const maxTailBytes = 65_536;

/**
 * Finds the rows and the links of a page without parsing the rows. What is left of the envelope when the
 * rows are taken out is ordinary JSON, in any order, with any white space and unknown members.
 * Dataverse may put `@odata.deltaLink` before `value` (learn.microsoft.com: "Use change tracking to
 * synchronize data with external systems").
 * @throws PageFault where the body is no JSON object, is cut short, or has no `value` array
 * @throws InStreamError where it has an `error` member
 */
export function scanPage(body: Buffer): Page {
  const start = findValue(body);
  if (start === undefined) throw withoutValue(body);
  const end = lastRowEnd(body, start) ?? closingBracket(body, start);
  const envelope = parseObject(body.toString('utf8', 0, start) + body.toString('utf8', end));
  if (envelope === undefined) throw notJson(body, 'the envelope around the rows');
  if ('error' in envelope) throw new InStreamError(Buffer.from(JSON.stringify(envelope)));
  if (!Array.isArray(envelope['value']) || envelope['value'].length > 0) {
    throw new PageFault('it has "value" more than once');
  }
  const page: Page = { body, recordsStart: start, recordsEnd: end };
  const nextLink = envelope['@odata.nextLink'] ?? envelope['@nextLink'];
  const deltaLink = envelope['@odata.deltaLink'] ?? envelope['@deltaLink'];
  const version = envelope['@Microsoft.Dynamics.CRM.globalmetadataversion'];
  if (typeof nextLink === 'string') page.nextLink = nextLink;
  if (typeof deltaLink === 'string') page.deltaLink = deltaLink;
  if (typeof version === 'string' || typeof version === 'number') page.metadataVersion = String(version);
  return page;
}

/** JSON's value as an object; undefined where it is no JSON. */
function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    return Object(JSON.parse(text.replace(/^\uFEFF/, ''))) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

function notJson(body: Buffer, where: string): PageFault {
  return new PageFault(`it is not JSON, or cut short after ${body.length} bytes: ${where}`);
}

function withoutValue(body: Buffer): Error {
  if (body.length === 0) return new PageFault('the body is empty');
  const envelope = parseObject(body.toString());
  if (envelope === undefined) return notJson(body, 'no "value" array was found');
  return 'error' in envelope ? new InStreamError(body) : new PageFault('it has no "value" array');
}

/**
 * The position after the opening bracket of the outermost `"value": [`. Whether one is the outermost
 * shows when the text up to it is closed right there: then it must be JSON.
 */
function findValue(body: Buffer): number | undefined {
  const head = body.subarray(0, maxHeadBytes);
  for (let at = head.indexOf('"value"'); at >= 0; at = head.indexOf('"value"', at + 1)) {
    const opening = /^"value"\s*:\s*\[/.exec(body.toString('latin1', at, at + 1000))?.[0];
    if (opening === undefined) continue;
    const start = at + opening.length;
    if (parseObject(`${body.toString('utf8', 0, start)}]}`) !== undefined) return start;
  }
  return undefined;
}

/**
 * The end of the rows by the last closing bracket of the body, which is nearly always theirs: a page of
 * many megabytes is then not walked through twice. Undefined where it may belong to something else.
 */
function lastRowEnd(body: Buffer, start: number): number | undefined {
  if (body.length - start < maxTailBytes) return undefined;
  const end = body.lastIndexOf(closeBracket);
  if (body.length - end > maxTailBytes) return undefined;
  if (parseObject(`{"value":[${body.toString('utf8', end)}`) === undefined) return undefined;
  // Another array after `value` would have its opening bracket near.
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

/** The position of the bracket that closes the array whose inside begins at `from`. */
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
  throw new PageFault(`it is cut short after ${body.length} bytes, among the rows`);
}

/** The position after the closing quote of the string that begins at `from`. */
function endOfString(body: Buffer, from: number): number {
  for (let at = from + 1; at < body.length; at += 1) {
    const byte = body[at];
    if (byte === quote) return at + 1;
    if (byte === backslash) at += 1;
  }
  throw new PageFault(`it is cut short after ${body.length} bytes, in a string`);
}

/** The position of the opening quote of the string that ends at `from`: the nearest that is not escaped. */
function startOfString(body: Buffer, from: number): number {
  let at = from;
  for (;;) {
    at = body.lastIndexOf(quote, at - 1);
    let escapes = 0;
    while (body[at - 1 - escapes] === backslash) escapes += 1;
    if (at < 0 || escapes % 2 === 0) return at;
  }
}

import { RetriableError } from '../errors.ts';

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
  /** `@odata.count`. Dataverse counts to 5,000 and no further. */
  count?: number;
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
const openBracket = 0x5b;
const openBrace = 0x7b;
const closeBracket = 0x5d;
const closeBrace = 0x7d;
const comma = 0x2c;
const colon = 0x3a;

/**
 * Finds the rows and the links of a page without parsing the rows: the envelope is walked byte by byte,
 * member by member, in any order and with any white space; unknown members are stepped over.
 * Dataverse may put `@odata.deltaLink` before `value` (learn.microsoft.com: "Use change tracking to
 * synchronize data with external systems").
 * @throws PageFault where the body is no JSON object, is cut short, or has no `value` array
 * @throws InStreamError where it has an `error` member
 */
export function scanPage(body: Buffer): Page {
  let at = skipSpace(body, body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf ? 3 : 0);
  if (body.length === 0) throw new PageFault('the body is empty');
  if (body[at] !== openBrace) throw new PageFault('the body is not a JSON object');
  const page: Page = { body, recordsStart: -1, recordsEnd: -1 };
  let failed: Buffer | undefined;
  at = skipSpace(body, at + 1);
  if (body[at] !== closeBrace) {
    for (;;) {
      if (body[at] !== quote) throw fault(body, at, 'a member name');
      const keyEnd = endOfString(body, at);
      const key = text(body, at, keyEnd);
      at = skipSpace(body, keyEnd);
      if (body[at] !== colon) throw fault(body, at, 'a colon');
      const start = skipSpace(body, at + 1);
      const end = endOfValue(body, start);
      if (key === 'value' && body[start] === openBracket) {
        page.recordsStart = start + 1;
        page.recordsEnd = end - 1;
      } else if (key === 'error' && body[start] === openBrace) failed = body.subarray(start, end);
      else readMember(page, key, body, start, end);
      at = skipSpace(body, end);
      if (body[at] === closeBrace) break;
      if (body[at] !== comma) throw fault(body, at, 'a comma or the end of the object');
      at = skipSpace(body, at + 1);
    }
  }
  at = skipSpace(body, at + 1);
  if (at < body.length) throw fault(body, at, 'nothing more');
  if (failed !== undefined)
    throw new InStreamError(Buffer.concat([Buffer.from('{"error":'), failed, Buffer.from('}')]));
  if (page.recordsStart < 0) throw new PageFault('it has no "value" array');
  return page;
}

function readMember(page: Page, key: string, body: Buffer, start: number, end: number): void {
  switch (key) {
    case '@odata.nextLink':
    case '@nextLink':
      page.nextLink = string(body, start, end);
      break;
    case '@odata.deltaLink':
    case '@deltaLink':
      page.deltaLink = string(body, start, end);
      break;
    case '@Microsoft.Dynamics.CRM.globalmetadataversion':
      page.metadataVersion =
        body[start] === quote ? text(body, start, end) : body.toString('latin1', start, end);
      break;
    case '@odata.count':
    case '@count': {
      const count = Number(body.toString('latin1', start, Math.min(end, start + 32)).replaceAll('"', ''));
      if (Number.isSafeInteger(count) && count >= 0) page.count = count;
    }
  }
}

function string(body: Buffer, start: number, end: number): string {
  if (body[start] !== quote) throw fault(body, start, 'a string');
  return text(body, start, end);
}

function text(body: Buffer, start: number, end: number): string {
  const token = body.toString('utf8', start, end);
  if (!token.includes('\\')) return token.slice(1, -1);
  try {
    return JSON.parse(token) as string;
  } catch {
    throw fault(body, start, 'a string');
  }
}

function fault(body: Buffer, at: number, expected: string): PageFault {
  return new PageFault(
    at >= body.length
      ? `it is cut short after ${body.length} bytes, where ${expected} was expected`
      : `it is not JSON: ${expected} was expected at byte ${at} of ${body.length}`,
  );
}

function skipSpace(body: Buffer, from: number): number {
  let at = from;
  for (;;) {
    const byte = body[at];
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return at;
    at += 1;
  }
}

/** The position after the closing quote of the string that begins at `from`. */
function endOfString(body: Buffer, from: number): number {
  const { length } = body;
  for (let at = from + 1; at < length; at += 1) {
    const byte = body[at];
    if (byte === quote) return at + 1;
    if (byte === backslash) at += 1;
  }
  throw fault(body, length, 'the end of a string');
}

/** The position after the value that begins at `from`: brackets are matched, strings stepped over. */
function endOfValue(body: Buffer, from: number): number {
  const { length } = body;
  const first = body[from];
  if (first === quote) return endOfString(body, from);
  if (first !== openBrace && first !== openBracket) {
    const token = /^(?:true|false|null|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)(?=[\s,}]|$)/.exec(
      body.toString('latin1', from, Math.min(length, from + 400)),
    );
    if (token === null) throw fault(body, from, 'a value');
    return from + token[0].length;
  }
  let depth = 0;
  for (let at = from; at < length; at += 1) {
    const byte = body[at]!;
    if (byte === quote) {
      // Written out here: this loop sees every byte of every page.
      for (at += 1; at < length; at += 1) {
        const inner = body[at];
        if (inner === quote) break;
        if (inner === backslash) at += 1;
      }
    } else if (byte === openBrace || byte === openBracket) depth += 1;
    else if (byte === closeBrace || byte === closeBracket) {
      depth -= 1;
      if (depth === 0) {
        if (byte - first !== 2) throw fault(body, at, 'another closing bracket');
        return at + 1;
      }
    }
  }
  throw fault(body, length, 'the end of an array or object');
}

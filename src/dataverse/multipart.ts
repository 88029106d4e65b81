/** `multipart/mixed` with `application/http` parts, as `$batch` speaks it. Lines end in CRLF: Dataverse insists. */

export class MultipartFault extends Error {}

export interface MultipartPart {
  status: number;
  headers: Record<string, string>;
  body: Buffer;
  /** The parts within, for a change set. */
  parts?: MultipartPart[];
}

/** @throws RangeError for a header or request line with a line break in it */
export function encodePart(
  mime: Record<string, string>,
  requestLine: string,
  headers: Record<string, string>,
  body: string,
): string {
  const lines = (fields: object) => Object.entries(fields).map(([name, value]) => `${name}: ${value}`);
  const all = [...lines(mime), '', requestLine, ...lines(headers)];
  if (all.some((line) => /[\r\n]/.test(line))) throw new RangeError('a line break in a header of a batch');
  return `${all.join('\r\n')}\r\n\r\n${body}\r\n`;
}

/** @throws MultipartFault where it is cut short or no multipart at all */
export function parseMultipart(body: Buffer, contentType: string | undefined): MultipartPart[] {
  const boundary = /boundary="?([^";]+)"?/i.exec(contentType ?? '')?.[1]?.trim();
  if (boundary === undefined) throw new MultipartFault('it has no boundary');
  return split(body, boundary).map((section) => {
    const { headers, rest } = readHead(section);
    const type = headers['content-type'] ?? '';
    if (/^multipart\/mixed/i.test(type)) {
      return { status: 0, headers, body: rest, parts: parseMultipart(rest, type) };
    }
    const line = /^HTTP\/1\.[01] (\d{3})[^\r\n]*\r?\n/.exec(rest.toString('latin1', 0, 200));
    if (line === null) throw new MultipartFault('a part is no HTTP answer');
    const answer = readHead(rest.subarray(line[0].length));
    return { status: Number(line[1]), headers: answer.headers, body: withoutLineEnd(answer.rest) };
  });
}

function split(body: Buffer, boundary: string): Buffer[] {
  const mark = Buffer.from(`--${boundary}`);
  const sections: Buffer[] = [];
  let at = body.indexOf(mark);
  while (at >= 0) {
    const start = at + mark.length;
    if (body.toString('latin1', start, start + 2) === '--') return sections;
    const next = body.indexOf(mark, start);
    if (next < 0) break;
    const line = body.indexOf(0x0a, start);
    sections.push(body.subarray(line + 1, next));
    at = next;
  }
  throw new MultipartFault(`it is cut short after ${body.length} bytes`);
}

/** Header lines up to the empty one. A section may consist of headers alone. */
function readHead(section: Buffer): { headers: Record<string, string>; rest: Buffer } {
  const headers: Record<string, string> = {};
  let at = 0;
  while (at < section.length) {
    const end = section.indexOf(0x0a, at);
    const line = section.toString('latin1', at, end < 0 ? section.length : end).trim();
    at = end < 0 ? section.length : end + 1;
    if (line === '') break;
    const colon = line.indexOf(':');
    if (colon > 0) headers[line.slice(0, colon).trim().toLowerCase()] = line.slice(colon + 1).trim();
  }
  return { headers, rest: section.subarray(at) };
}

/** Without the line break that belongs to the boundary after it. */
function withoutLineEnd(body: Buffer): Buffer {
  const lineEnd = /\r?\n?$/.exec(body.toString('latin1', body.length - 2))![0];
  return body.subarray(0, body.length - lineEnd.length);
}

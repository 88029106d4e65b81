/** `multipart/mixed` with `application/http` parts, the format of `$batch`. Lines end in CRLF: Dataverse requires it. */

/** The body is not a multipart response. */
export class MultipartFormatError extends Error {}

export interface MultipartPart {
  status: number;
  headers: Record<string, string>;
  body: Buffer;
  /** The parts of a change set. */
  parts?: MultipartPart[];
}

/** Encodes one request. Undefined headers are omitted. @throws RangeError for a line break in a header or request line */
export function encodePart(
  mime: Record<string, string | undefined>,
  requestLine: string,
  headers: Record<string, string>,
  body: string,
): string {
  const lines = (fields: object) =>
    Object.entries(fields).flatMap(([name, value]) => (value === undefined ? [] : `${name}: ${value}`));
  const all = [...lines(mime), '', requestLine, ...lines(headers)];
  if (all.some((line) => /[\r\n]/.test(line)))
    throw new RangeError('a header of a batch contains a line break');
  return `${all.join('\r\n')}\r\n\r\n${body}\r\n`;
}

/** @throws MultipartFormatError if the body is cut short or not multipart */
export function parseMultipart(body: Buffer, contentType: string | undefined): MultipartPart[] {
  // Latin-1 maps each byte to one character, so positions and lengths stay the same.
  return parseText(body.toString('latin1'), contentType);
}

function parseText(text: string, contentType: string | undefined): MultipartPart[] {
  const boundary = /boundary="?([^";]+)"?/i.exec(contentType ?? '')?.[1]?.trim();
  if (boundary === undefined) throw new MultipartFormatError('it has no boundary');
  const sections = text.split(`--${boundary}`).slice(1);
  const last = sections.findIndex((section) => section.startsWith('--'));
  if (last < 0) throw new MultipartFormatError(`it is cut short after ${text.length} bytes`);
  return sections.slice(0, last).map((section) => {
    const { headers, rest } = readHead(section.slice(section.indexOf('\n') + 1));
    const type = headers['content-type'] ?? '';
    if (/^multipart\/mixed/i.test(type)) {
      return { status: 0, headers, body: Buffer.from(rest, 'latin1'), parts: parseText(rest, type) };
    }
    const line = /^HTTP\/1\.[01] (\d{3})[^\r\n]*\r?\n/.exec(rest);
    if (line === null) throw new MultipartFormatError('a part is not an HTTP response');
    const response = readHead(rest.slice(line[0].length));
    // The last line break is part of the boundary.
    const body = Buffer.from(response.rest.replace(/\r?\n$/, ''), 'latin1');
    return { status: Number(line[1]), headers: response.headers, body };
  });
}

/** Reads header lines up to the empty line. A section may consist of headers only. */
function readHead(section: string): { headers: Record<string, string>; rest: string } {
  const head = /^(?:[^\r\n]+\r?\n)*\r?\n?/.exec(section)![0];
  const fields = [...head.matchAll(/^([^:\r\n]+):(.*)$/gm)];
  const headers = fields.map(([, name = '', value = '']) => [name.trim().toLowerCase(), value.trim()]);
  return { headers: Object.fromEntries(headers), rest: section.slice(head.length) };
}

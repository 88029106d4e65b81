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
  // One character a byte: positions and lengths stay what they are.
  return parseText(body.toString('latin1'), contentType);
}

function parseText(text: string, contentType: string | undefined): MultipartPart[] {
  const boundary = /boundary="?([^";]+)"?/i.exec(contentType ?? '')?.[1]?.trim();
  if (boundary === undefined) throw new MultipartFault('it has no boundary');
  const sections = text.split(`--${boundary}`).slice(1);
  const last = sections.findIndex((section) => section.startsWith('--'));
  if (last < 0) throw new MultipartFault(`it is cut short after ${text.length} bytes`);
  return sections.slice(0, last).map((section) => {
    const { headers, rest } = readHead(section.slice(section.indexOf('\n') + 1));
    const type = headers['content-type'] ?? '';
    if (/^multipart\/mixed/i.test(type)) {
      return { status: 0, headers, body: Buffer.from(rest, 'latin1'), parts: parseText(rest, type) };
    }
    const line = /^HTTP\/1\.[01] (\d{3})[^\r\n]*\r?\n/.exec(rest);
    if (line === null) throw new MultipartFault('a part is no HTTP answer');
    const answer = readHead(rest.slice(line[0].length));
    // The last line break belongs to the boundary.
    const body = Buffer.from(answer.rest.replace(/\r?\n$/, ''), 'latin1');
    return { status: Number(line[1]), headers: answer.headers, body };
  });
}

/** Header lines up to the empty one. A section may consist of headers alone. */
function readHead(section: string): { headers: Record<string, string>; rest: string } {
  const head = /^(?:[^\r\n]+\r?\n)*\r?\n?/.exec(section)![0];
  const fields = [...head.matchAll(/^([^:\r\n]+):(.*)$/gm)];
  const headers = fields.map(([, name = '', value = '']) => [name.trim().toLowerCase(), value.trim()]);
  return { headers: Object.fromEntries(headers), rest: section.slice(head.length) };
}

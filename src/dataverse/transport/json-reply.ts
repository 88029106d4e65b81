import { type Reply, unreadable } from './transport.ts';

/** A row as it came back, parsed: numbers beyond a double's exactness are not kept. */
export type Row = Record<string, unknown>;

/** The JSON object of an answer. @throws UnreadableBodyError for anything else, without the content */
export function readObject(reply: Reply): Row {
  try {
    const value: unknown = JSON.parse(reply.body.toString().replace(/^\uFEFF/, ''));
    if (value !== null && typeof value === 'object' && !Array.isArray(value)) return value as Row;
  } catch {
    // Said below, without the content.
  }
  throw unreadable(reply, `its ${reply.body.length} bytes are no JSON object`);
}

/** The list of an answer that comes in one piece, as metadata does. @throws UnreadableBodyError where there is none */
export function readList(reply: Reply): Row[] {
  const { value } = readObject(reply);
  if (Array.isArray(value)) return value;
  throw unreadable(reply, 'it has no "value" array');
}

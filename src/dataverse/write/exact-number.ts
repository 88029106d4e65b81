import { randomUUID } from 'node:crypto';

/**
 * Numbers that JSON contains exactly as their text. A double would turn `0.10` into `0.1` and lose digits
 * after the 15th, while Dataverse stores every digit of decimals and money.
 */

/** The result of `JSON.rawJSON`, which TypeScript's library lacks (ECMAScript: JSON.parse source text access). */
export interface ExactNumber {
  readonly rawJSON: string;
}

/** Undefined before Node.js 21. */
const native = (JSON as unknown as { rawJSON?: (text: string) => ExactNumber }).rawJSON;

/** Stands for a raw number where `JSON.rawJSON` is missing. */
class RawNumber implements ExactNumber {
  readonly rawJSON: string;
  constructor(text: string) {
    this.rawJSON = text;
  }
}

const rawJSON = native ?? ((text: string): ExactNumber => new RawNumber(text));

/**
 * A number for a row, from its text.
 * @throws RangeError if the text is not a JSON number
 * @example
 * await client.update('products', id, { price: exactNumber('19.90') });
 */
export function exactNumber(text: string): ExactNumber {
  if (!/^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(text)) throw new RangeError('not a JSON number');
  return rawJSON(text);
}

/** A row to write: columns, and `<NavigationProperty>@odata.bind` for lookups. */
export type RowValues = Readonly<Record<string, unknown>>;

/** Converts to JSON. A bigint becomes a number with all its digits. */
export function toJson(value: unknown): string {
  if (native === undefined) return toJsonWithMarks(value);
  return JSON.stringify(value, (_, member) =>
    typeof member === 'bigint' ? rawJSON(String(member)) : member,
  );
}

/** The same without `JSON.rawJSON`: numbers are written as marked strings first. No value can contain the mark. */
export function toJsonWithMarks(value: unknown): string {
  const mark = randomUUID();
  const json = JSON.stringify(value, (_, member) => {
    if (typeof member === 'bigint') return mark + member;
    return member instanceof RawNumber ? mark + member.rawJSON : member;
  });
  return json.replaceAll(new RegExp(`"${mark}([^"]*)"`, 'g'), '$1');
}

/**
 * Parses JSON. A number that a double would change becomes an exact one, which `toJson` writes with all its digits.
 * @throws SyntaxError
 */
export function parseExact(json: string): unknown {
  const mark = randomUUID();
  const marked = json.replace(/"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g, (token) =>
    token.startsWith('"') || String(Number(token)) === token ? token : `"${mark}${token}"`,
  );
  return JSON.parse(marked, (_, member) =>
    typeof member === 'string' && member.startsWith(mark) ? exactNumber(member.slice(mark.length)) : member,
  );
}

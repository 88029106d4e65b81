import { randomUUID } from 'node:crypto';

/** Which numbers of a response become texts with the digits that Dataverse sent, instead of numbers of JavaScript. */
export interface ExactTexts {
  /** Members of these names, whatever their numbers. */
  columns: readonly string[];
  /** Any number that a number of JavaScript may round: with a fraction, an exponent, or more than 15 digits. */
  fractions: boolean;
  /** Whether `columns` names members of the rows alone: rows within rows are of other tables. */
  ofRowsAlone?: boolean;
}

/** A number that a double may change. */
const roundedNumber = /^-?(?:\d+[.eE]|\d{16})/;

/** A number of JSON (RFC 8259) to its end. Anything else gets no quotes, so that it stays an error. */
const number = String.raw`-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\d.eE+-])`;
const fraction = new RegExp(String.raw`([{,]\s*"[^"\\]*"\s*:\s*)((?=-?(?:\d+[.eE]|\d{16}))${number})`, 'g');
const token = new RegExp(String.raw`"([^"\\]*(?:\\.[^"\\]*)*)"(?:(\s*:\s*)(${number}))?`, 'g');

/**
 * Parses JSON with some numbers as texts: `"revenue": 0.10` gives `'0.10'`. Node.js 20 cannot tell `JSON.parse` to keep the
 * text of numbers, and where it can, that takes several times as long. So the numbers get quotes before they are parsed.
 * @throws SyntaxError
 */
export function parseWithTexts(json: string, exact: ExactTexts | undefined): unknown {
  if (exact === undefined || (exact.columns.length === 0 && !exact.fractions)) return JSON.parse(json);
  // No text of the response can have it.
  const mark = exact.ofRowsAlone === true && exact.columns.length > 0 ? randomUUID() : '';
  const parsed = parseQuoted(json, exact, mark);
  return mark === '' ? parsed : withoutMarks(parsed, mark, exact);
}

function parseQuoted(json: string, exact: ExactTexts, mark: string): unknown {
  try {
    return JSON.parse(quoteByMembers(json, exact, mark));
  } catch {
    // A text that looks like a member got quotes as well, so the result was no JSON.
    return JSON.parse(quoteByTokens(json, exact, mark));
  }
}

/**
 * Finds members by what is before them. Only a text that follows another text, as in the list `["a,",":5"]`, can look like one, and
 * quotes within it always break the JSON.
 */
function quoteByMembers(json: string, { columns, fractions }: ExactTexts, mark: string): string {
  let quoted = json;
  if (columns.length > 0) {
    const names = columns.map((name) => name.replaceAll(/\W/g, '\\$&')).join('|');
    const member = new RegExp(String.raw`([{,]\s*"(?:${names})"\s*:\s*)(${number})`, 'g');
    quoted = quoted.replace(member, `$1"${mark}$2"`);
  }
  return fractions ? quoted.replace(fraction, '$1"$2"') : quoted;
}

/** Reads every text as a whole, which takes longer. */
function quoteByTokens(json: string, { columns, fractions }: ExactTexts, mark: string): string {
  const names = new Set(columns);
  return json.replace(
    token,
    (all: string, name: string, colon: string | undefined, digits: string | undefined) => {
      if (digits === undefined) return all;
      if (names.has(name)) return `"${name}"${colon}"${mark}${digits}"`;
      return fractions && roundedNumber.test(digits) ? `"${name}"${colon}"${digits}"` : all;
    },
  );
}

/** Keeps marked numbers of rows as texts. Those of other tables become what they are without the columns. */
function withoutMarks(parsed: unknown, mark: string, { fractions }: ExactTexts): unknown {
  const unmarked = (text: string) => text.slice(mark.length);
  const restore = (value: unknown): unknown => {
    if (typeof value === 'string') {
      if (!value.startsWith(mark)) return value;
      const digits = unmarked(value);
      return fractions && roundedNumber.test(digits) ? digits : Number(digits);
    }
    if (value !== null && typeof value === 'object') change(value, restore);
    return value;
  };
  const keep = (value: unknown) =>
    typeof value === 'string' && value.startsWith(mark) ? unmarked(value) : restore(value);
  for (const row of rowsOf(parsed)) change(row, keep);
  return parsed;
}

/** The rows of a page, of the response to a query, or the response that is a row. */
function rowsOf(parsed: unknown): object[] {
  const list = Array.isArray(parsed) ? parsed : Object(parsed).value;
  return (Array.isArray(list) ? list : [parsed]).filter((row) => Object(row) === row);
}

function change(members: object, work: (value: unknown) => unknown): void {
  const own = members as Record<string, unknown>;
  for (const name of Object.keys(own)) {
    const value = own[name];
    const changed = work(value);
    if (changed !== value) own[name] = changed;
  }
}

/** Which numbers of a response become texts with the digits that Dataverse sent, instead of numbers of JavaScript. */
export interface ExactTexts {
  /** Members of these names, whatever their numbers. */
  columns: readonly string[];
  /** Any number that a number of JavaScript may round: with a fraction, an exponent, or more than 15 digits. */
  fractions: boolean;
}

/** A number that a double may change. */
const roundedNumber = /^-?(?:\d+[.eE]|\d{16})/;

/**
 * Parses JSON with some numbers as texts: `"revenue": 0.10` gives `'0.10'`. Node.js 20 cannot tell `JSON.parse` to keep the
 * text of numbers, and where it can, that takes several times as long. So the numbers get quotes before they are parsed.
 * @throws SyntaxError
 */
export function parseWithTexts(json: string, exact: ExactTexts | undefined): unknown {
  if (exact === undefined || (exact.columns.length === 0 && !exact.fractions)) return JSON.parse(json);
  try {
    return JSON.parse(quoteByMembers(json, exact));
  } catch {
    // A text that looks like a member got quotes as well, so the result was no JSON.
    return JSON.parse(quoteByTokens(json, exact));
  }
}

/**
 * Finds members by what is before them. Only a text that follows another text, as in the list `["a,",":5"]`, can look like one, and
 * quotes within it always break the JSON.
 */
function quoteByMembers(json: string, { columns, fractions }: ExactTexts): string {
  let quoted = json;
  if (columns.length > 0) {
    const names = columns.map((name) => name.replaceAll(/\W/g, '\\$&')).join('|');
    const member = new RegExp(`([{,]\\s*"(?:${names})"\\s*:\\s*)(-?\\d[\\d.eE+-]*)`, 'g');
    quoted = quoted.replace(member, '$1"$2"');
  }
  if (!fractions) return quoted;
  return quoted.replace(/([{,]\s*"[^"\\]*"\s*:\s*)(-?\d+(?:[.eE][\d.eE+-]*|\d{15,}))/g, '$1"$2"');
}

/** Reads every text as a whole, which takes longer. */
function quoteByTokens(json: string, { columns, fractions }: ExactTexts): string {
  const names = new Set(columns);
  return json.replace(
    /"((?:[^"\\]|\\.)*)"(?:(\s*:\s*)(-?\d[\d.eE+-]*))?/g,
    (token: string, name: string, colon: string | undefined, number: string | undefined) => {
      if (number === undefined) return token;
      const isExact = names.has(name) || (fractions && roundedNumber.test(number));
      return isExact ? `"${name}"${colon}"${number}"` : token;
    },
  );
}

/** Where something begins in a file; both numbers begin at 1. */
export interface Place {
  line: number;
  column: number;
}

/** The text is not Bicep, or more than this checker understands. */
export class BicepError extends Error {
  readonly place: Place;

  constructor(message: string, place: Place) {
    super(message);
    this.place = place;
  }
}

export type Token = { place: Place } & (
  | { kind: 'name'; text: string }
  | { kind: 'number'; value: number }
  /** Text and, between two texts, the tokens of one `${…}`: always one text more than expressions. */
  | { kind: 'string'; texts: string[]; expressions: Token[][] }
  | { kind: 'mark'; text: string }
  | { kind: 'newline' }
  | { kind: 'end' }
);

// Longest first.
const marks = ['...', '&&', '||', '??', '==', '!=', '=~', '!~', '<=', '>=', '=>', '.?', '[?', '::'];
const singleMarks = '{}[]().,:=?!<>+-*/%@|';
const escapes: Record<string, string> = { n: '\n', r: '\r', t: '\t', '\\': '\\', "'": "'", $: '$' };

/**
 * The tokens of a file, ending with `end`. Comments are left out; newlines are kept, because they separate items.
 * @throws BicepError at the first character that cannot begin a token
 */
export function tokenize(source: string): Token[] {
  return new Lexer(source).tokens(false);
}

class Lexer {
  readonly #source: string;
  #at = 0;
  #line = 1;
  #lineStart = 0;

  constructor(source: string) {
    this.#source = source;
  }

  /** @param isInside whether these are the tokens of `${…}`, which end with its brace */
  tokens(isInside: boolean): Token[] {
    const tokens: Token[] = [];
    let open = 0;
    for (;;) {
      this.#skipBlanks();
      const place = this.#place();
      const char = this.#source[this.#at];
      if (char === undefined) {
        if (isInside) throw new BicepError('A string with ${ does not end', place);
        tokens.push({ kind: 'end', place });
        return tokens;
      }
      if (isInside && char === '}' && open === 0) {
        this.#at += 1;
        tokens.push({ kind: 'end', place });
        return tokens;
      }
      if (char === '{') open += 1;
      if (char === '}') open -= 1;
      tokens.push(this.#token(place));
    }
  }

  #token(place: Place): Token {
    const rest = this.#source.slice(this.#at, this.#at + 200);
    if (rest[0] === '\n') {
      this.#at += 1;
      this.#newLine();
      return { kind: 'newline', place };
    }
    const name = /^[A-Za-z_]\w*/.exec(rest)?.[0];
    if (name !== undefined) {
      this.#at += name.length;
      return { kind: 'name', text: name, place };
    }
    const digits = /^\d+/.exec(rest)?.[0];
    if (digits !== undefined) {
      this.#at += digits.length;
      return { kind: 'number', value: Number(digits), place };
    }
    if (rest.startsWith("'''")) return this.#multiLine(place);
    if (rest[0] === "'") return this.#string(place);
    const mark = marks.find((one) => rest.startsWith(one)) ?? (singleMarks.includes(rest[0]!) && rest[0]);
    if (!mark) throw new BicepError(`Unexpected character ${JSON.stringify(rest[0])}`, place);
    this.#at += mark.length;
    return { kind: 'mark', text: mark, place };
  }

  #string(place: Place): Token {
    const texts: string[] = [];
    const expressions: Token[][] = [];
    let text = '';
    this.#at += 1;
    for (;;) {
      const char = this.#source[this.#at];
      if (char === undefined || char === '\n')
        throw new BicepError('A string does not end in its line', place);
      this.#at += 1;
      if (char === "'") return { kind: 'string', texts: [...texts, text], expressions, place };
      if (char === '\\') text += this.#escape(place);
      else if (char === '$' && this.#source[this.#at] === '{') {
        this.#at += 1;
        texts.push(text);
        text = '';
        expressions.push(this.tokens(true));
      } else text += char;
    }
  }

  #escape(place: Place): string {
    const char = this.#source[this.#at] ?? '';
    const code = /^u\{([0-9a-fA-F]{1,6})\}/.exec(this.#source.slice(this.#at, this.#at + 10));
    if (code !== null) {
      this.#at += code[0].length;
      return String.fromCodePoint(Number.parseInt(code[1]!, 16));
    }
    const escaped = escapes[char];
    if (escaped === undefined) throw new BicepError(`Unknown escape \\${char}`, place);
    this.#at += 1;
    return escaped;
  }

  #multiLine(place: Place): Token {
    const end = this.#source.indexOf("'''", this.#at + 3);
    if (end < 0) throw new BicepError("A string with ''' does not end", place);
    const text = this.#source.slice(this.#at + 3, end).replace(/^\n/, '');
    for (; this.#at < end + 3; this.#at += 1)
      if (this.#source[this.#at] === '\n') this.#newLine(this.#at + 1);
    return { kind: 'string', texts: [text], expressions: [], place };
  }

  #skipBlanks(): void {
    for (;;) {
      const char = this.#source[this.#at];
      if (char === ' ' || char === '\t' || char === '\r') this.#at += 1;
      else if (this.#source.startsWith('//', this.#at)) {
        const end = this.#source.indexOf('\n', this.#at);
        this.#at = end < 0 ? this.#source.length : end;
      } else if (this.#source.startsWith('/*', this.#at)) {
        const end = this.#source.indexOf('*/', this.#at + 2);
        if (end < 0) throw new BicepError('A comment does not end', this.#place());
        for (; this.#at < end + 2; this.#at += 1)
          if (this.#source[this.#at] === '\n') this.#newLine(this.#at + 1);
      } else return;
    }
  }

  #newLine(start = this.#at): void {
    this.#line += 1;
    this.#lineStart = start;
  }

  #place(): Place {
    return { line: this.#line, column: this.#at - this.#lineStart + 1 };
  }
}

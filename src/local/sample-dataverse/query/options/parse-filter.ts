import { badRequest } from '../../http/service-error.ts';
import { isGuid } from '../../rows/guid.ts';

/** A `$filter` expression as a tree. */
export type Filter =
  | { kind: 'and' | 'or'; left: Filter; right: Filter }
  | { kind: 'not'; operand: Filter }
  | { kind: 'lambda'; navigation: string; all: boolean; variable: string; inner: Filter | undefined }
  | { kind: 'compare'; operator: Comparison; left: Operand; right: Operand }
  | { kind: 'call'; name: string; arguments: Operand[]; named: Map<string, Operand> };

export type Comparison = 'eq' | 'ne' | 'gt' | 'ge' | 'lt' | 'le';

export type Operand =
  | { kind: 'property'; path: string }
  | { kind: 'literal'; type: 'string' | 'number' | 'guid' | 'date' | 'boolean' | 'null'; text: string }
  | { kind: 'list'; items: string[] };

const comparisons = new Set(['eq', 'ne', 'gt', 'ge', 'lt', 'le']);
/** The limit of the service (learn.microsoft.com: Filter rows using OData). */
const maximumConditions = 500;

interface Token {
  kind: 'word' | 'string' | 'punctuation' | 'list';
  text: string;
  at: number;
}

/** Parses a `$filter`. Takes the values of parameter aliases (`@p1`) from the query options. */
export function parseFilter(text: string, aliases: ReadonlyMap<string, string> = new Map()): Filter {
  return new FilterParser(text, aliases).parse();
}

class FilterParser {
  readonly #text: string;
  readonly #tokens: Token[];
  readonly #aliases: ReadonlyMap<string, string>;
  #next = 0;
  #conditions = 0;

  constructor(text: string, aliases: ReadonlyMap<string, string>) {
    this.#text = text;
    this.#tokens = tokenize(text);
    this.#aliases = aliases;
  }

  parse(): Filter {
    const filter = this.#or();
    if (this.#peek() !== undefined) throw this.#syntaxError();
    if (this.#conditions > maximumConditions) {
      throw badRequest('Number of conditions in query exceeded maximum limit.', '0x8004430C');
    }
    return filter;
  }

  #or(): Filter {
    let left = this.#and();
    while (this.#takeWord('or')) left = { kind: 'or', left, right: this.#and() };
    return left;
  }

  #and(): Filter {
    let left = this.#not();
    while (this.#takeWord('and')) left = { kind: 'and', left, right: this.#not() };
    return left;
  }

  #not(): Filter {
    if (this.#takeWord('not')) return { kind: 'not', operand: this.#not() };
    if (this.#takePunctuation('(')) {
      const inner = this.#or();
      this.#expect(')');
      return inner;
    }
    return this.#condition();
  }

  #condition(): Filter {
    this.#conditions++;
    const token = this.#peek();
    if (token?.kind === 'word' && this.#tokens[this.#next + 1]?.text === '(') return this.#call(token);
    const left = this.#operand();
    const operator = this.#peek();
    if (operator?.kind !== 'word' || !comparisons.has(operator.text)) throw this.#syntaxError();
    this.#next++;
    return { kind: 'compare', operator: operator.text as Comparison, left, right: this.#operand() };
  }

  /** `contact_parentcustomerid_account/any(o:o/lastname eq 'Lovelace')`, after its opening bracket. */
  #lambda(navigation: string, all: boolean): Filter {
    if (this.#takePunctuation(')'))
      return { kind: 'lambda', navigation, all, variable: '', inner: undefined };
    const first = this.#peek();
    const [, variable, rest] = /^(\w+):(.*)$/s.exec(first?.kind === 'word' ? first.text : '') ?? [];
    if (first === undefined || variable === undefined || rest === undefined) throw this.#syntaxError();
    if (rest === '') this.#next++;
    else first.text = rest;
    const inner = this.#or();
    this.#expect(')');
    return { kind: 'lambda', navigation, all, variable, inner };
  }

  #call(token: Token): Filter {
    this.#next += 2;
    const [, navigation, quantifier] = /^(.+)\/(any|all)$/.exec(token.text) ?? [];
    if (navigation !== undefined) return this.#lambda(navigation, quantifier === 'all');
    const call: Filter = { kind: 'call', name: token.text, arguments: [], named: new Map() };
    while (!this.#takePunctuation(')')) {
      const word = this.#peek();
      if (word?.kind === 'word' && this.#tokens[this.#next + 1]?.text === '=') {
        this.#next += 2;
        call.named.set(word.text, this.#operand());
      } else {
        call.arguments.push(this.#operand());
      }
      if (!this.#takePunctuation(',') && this.#peek()?.text !== ')') throw this.#syntaxError();
    }
    return call;
  }

  #operand(): Operand {
    const token = this.#peek();
    if (token === undefined) throw this.#syntaxError();
    this.#next++;
    if (token.kind === 'string') return { kind: 'literal', type: 'string', text: token.text };
    if (token.kind === 'list') return { kind: 'list', items: listItems(token.text) };
    if (token.kind === 'punctuation') throw this.#syntaxError();
    if (token.text.startsWith('@')) return this.#alias(token.text);
    return wordOperand(token.text, this.#text);
  }

  #alias(name: string): Operand {
    const value = this.#aliases.get(name);
    // In OData, an alias without a value is null.
    if (value === undefined) return { kind: 'literal', type: 'null', text: 'null' };
    return new FilterParser(value, new Map()).#operand();
  }

  #peek(): Token | undefined {
    return this.#tokens[this.#next];
  }

  #takeWord(word: string): boolean {
    const token = this.#peek();
    if (token?.kind !== 'word' || token.text !== word) return false;
    this.#next++;
    return true;
  }

  #takePunctuation(text: string): boolean {
    const token = this.#peek();
    if (token?.kind !== 'punctuation' || token.text !== text) return false;
    this.#next++;
    return true;
  }

  #expect(text: string): void {
    if (!this.#takePunctuation(text)) throw this.#syntaxError();
  }

  #syntaxError(): Error {
    const at = this.#peek()?.at ?? this.#text.length;
    return badRequest(`Syntax error at position ${at} in '${this.#text}'.`);
  }
}

const wordPattern = /[^\s(),='"[\]]+/y;

function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < text.length) {
    const char = text[at]!;
    if (/\s/.test(char)) {
      at++;
    } else if (char === "'") {
      const end = stringEnd(text, at);
      tokens.push({ kind: 'string', text: text.slice(at + 1, end - 1).replaceAll("''", "'"), at });
      at = end;
    } else if (char === '[') {
      const end = listEnd(text, at);
      tokens.push({ kind: 'list', text: text.slice(at, end), at });
      at = end;
    } else if ('(),='.includes(char)) {
      tokens.push({ kind: 'punctuation', text: char, at });
      at++;
    } else {
      wordPattern.lastIndex = at;
      const word = wordPattern.exec(text)?.[0];
      if (word === undefined) throw badRequest(`Syntax error at position ${at} in '${text}'.`);
      tokens.push({ kind: 'word', text: word, at });
      at += word.length;
    }
  }
  return tokens;
}

function stringEnd(text: string, start: number): number {
  let at = start + 1;
  for (;;) {
    const quote = text.indexOf("'", at);
    if (quote < 0) throw badRequest(`There is an unterminated literal at position ${start} in '${text}'.`);
    if (text[quote + 1] !== "'") return quote + 1;
    at = quote + 2;
  }
}

function listEnd(text: string, start: number): number {
  let quoted = false;
  for (let at = start; at < text.length; at++) {
    if (text[at] === '\\' && quoted) at++;
    else if (text[at] === '"') quoted = !quoted;
    else if (text[at] === ']' && !quoted) return at + 1;
  }
  throw badRequest(`There is an unterminated literal at position ${start} in '${text}'.`);
}

function listItems(text: string): string[] {
  let items: unknown;
  try {
    items = JSON.parse(text);
  } catch {
    throw badRequest(
      "Invalid JSON. A comma character ',' was expected in scope 'Array'. Every two elements in an array and properties of an object must be separated by commas.",
    );
  }
  return (items as unknown[]).map(String);
}

const date = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+ -]\d\d:\d\d)?)?$/;
const number = /^[+-]?(\d+(\.\d+)?([eE][+-]?\d+)?|INF|NaN)$/;
const property = /^[A-Za-z_][\w]*(\/[A-Za-z_][\w]*)*$/;

function wordOperand(text: string, whole: string): Operand {
  if (text === 'null') return { kind: 'literal', type: 'null', text };
  if (text === 'true' || text === 'false') return { kind: 'literal', type: 'boolean', text };
  if (isGuid(text)) return { kind: 'literal', type: 'guid', text: text.toLowerCase() };
  if (date.test(text)) return { kind: 'literal', type: 'date', text };
  if (number.test(text)) return { kind: 'literal', type: 'number', text };
  if (property.test(text)) return { kind: 'property', path: text };
  throw badRequest(`Unrecognized 'Edm.String' literal '${text}' in '${whole}'.`);
}

/**
 * JSON as it was sent, with nothing lost on the way: `JSON.parse` keeps the last of two equal keys and the
 * nearest double of a number without a word, so the text itself is looked at too.
 */

/** A fault and where it stands: a JSON Pointer (RFC 6901), empty for the whole body. */
export interface Fault {
  path: string;
  detail: string;
}

/** Far more than a list of records needs; far less than a stack. */
const maxDepth = 16;

/** Parses a body. Syntax faults end the matter; the others are told beside the value. */
export function readExactJson(bytes: Uint8Array): { value: unknown; faults: Fault[] } | { fault: string } {
  let text: string;
  try {
    // A byte order mark is taken off: RFC 8259, section 8.1, lets a parser ignore it.
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return { fault: 'The body is not valid UTF-8.' };
  }
  if (text.trim() === '') return { fault: 'The body is empty.' };
  if (tooDeep(text)) return { fault: `The body is nested deeper than ${maxDepth} levels.` };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const position = /position (\d+)/.exec(String(error))?.[1];
    return { fault: `The body is not valid JSON${position ? ` (at character ${position})` : ''}.` };
  }
  const walker = new Walker(text);
  walker.value('');
  return { value, faults: walker.faults };
}

/** One step of a JSON Pointer. */
export function pointerStep(name: string | number): string {
  return `/${String(name).replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

function tooDeep(text: string): boolean {
  let depth = 0;
  let inString = false;
  for (let i = 0; i < text.length; i += 1) {
    const c = text.charCodeAt(i);
    if (inString) {
      if (c === 0x5c) i += 1;
      else if (c === 0x22) inString = false;
    } else if (c === 0x22) inString = true;
    else if (c === 0x7b || c === 0x5b) {
      depth += 1;
      if (depth > maxDepth) return true;
    } else if (c === 0x7d || c === 0x5d) depth -= 1;
  }
  return false;
}

/** Walks a text that is known to be valid JSON and not deep. */
class Walker {
  readonly faults: Fault[] = [];
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  value(path: string): void {
    this.#space();
    const c = this.#text[this.#at]!;
    if (c === '{') this.#object(path);
    else if (c === '[') this.#array(path);
    else if (c === '"') this.#string();
    else this.#primitive(path);
    this.#space();
  }

  #object(path: string): void {
    const seen = new Set<string>();
    this.#at += 1;
    this.#space();
    while (this.#text[this.#at] !== '}') {
      const key = this.#string();
      const keyPath = path + pointerStep(key);
      if (seen.has(key)) this.faults.push({ path: keyPath, detail: 'is given more than once' });
      seen.add(key);
      this.#space();
      this.#at += 1;
      this.value(keyPath);
      if (this.#text[this.#at] === ',') this.#at += 1;
      this.#space();
    }
    this.#at += 1;
  }

  #array(path: string): void {
    this.#at += 1;
    this.#space();
    for (let index = 0; this.#text[this.#at] !== ']'; index += 1) {
      this.value(path + pointerStep(index));
      if (this.#text[this.#at] === ',') this.#at += 1;
      this.#space();
    }
    this.#at += 1;
  }

  #string(): string {
    const start = this.#at;
    let escaped = false;
    let end = start + 1;
    while (this.#text[end] !== '"') {
      if (this.#text[end] === '\\') {
        escaped = true;
        end += 1;
      }
      end += 1;
    }
    this.#at = end + 1;
    return escaped
      ? (JSON.parse(this.#text.slice(start, end + 1)) as string)
      : this.#text.slice(start + 1, end);
  }

  #primitive(path: string): void {
    const start = this.#at;
    while (this.#at < this.#text.length && !',]} \t\n\r'.includes(this.#text[this.#at]!)) this.#at += 1;
    const source = this.#text.slice(start, this.#at);
    if (/^[-\d]/.test(source) && !isExact(source)) {
      this.faults.push({ path, detail: 'has more digits than can be kept exactly' });
    }
  }

  #space(): void {
    while (' \t\n\r'.includes(this.#text[this.#at] ?? 'x')) this.#at += 1;
  }
}

/** Whether a JSON number's double says the same as its text. Up to 15 digits always do. */
function isExact(source: string): boolean {
  if (source.length <= 15 && !/[eE]/.test(source)) return true;
  const sent = decimalOf(source);
  const kept = decimalOf(String(Number(source)));
  return kept !== undefined && sent !== undefined && kept === sent;
}

/** A number's digits and exponent in one form only: `12.50` and `1.25e1` are both `125e-1`. */
function decimalOf(text: string): string | undefined {
  const found = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text);
  if (found === null) return undefined;
  const [, sign, whole, fraction = '', exponent = '0'] = found as unknown as string[];
  const digits = (whole! + fraction).replace(/^0+/, '');
  const trimmed = digits.replace(/0+$/, '');
  if (trimmed === '') return '0';
  return `${sign}${trimmed}e${Number(exponent) - fraction.length + digits.length - trimmed.length}`;
}

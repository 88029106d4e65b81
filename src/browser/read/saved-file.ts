import type { Cell, Format } from './worker-messages.ts';

/** What a spreadsheet takes for a formula, also behind spaces and in full width. */
const formula = /^\s*[=+\-@＝＋－＠]|^[\t\r]/;
/** Decimals are texts in the mirror. */
const number = /^[+-]?\d+(?:\.\d+)?$/;
/** Where lists are separated by semicolons, a spreadsheet splits by them, or by tabs. */
const toBeQuoted = /[",;\t\r\n]/;
/** So many characters are put together before they go out of the thread's memory. */
const partLength = 1_000_000;

/** A file that takes row after row. What is complete is kept by the browser as a blob, not as text of the thread. */
export class SavedFile {
  readonly #format: Format;
  readonly #names: string[];
  readonly #maxBytes: number;
  #parts: Blob[] = [];
  #text = '';
  #bytes = 0;
  rows = 0;

  /** @param maxBytes the row that makes the file longer is its last */
  constructor(format: Format, columns: readonly string[], maxBytes: number) {
    this.#format = format;
    this.#maxBytes = maxBytes;
    this.#names = format === 'json' ? distinct(columns).map((name) => JSON.stringify(name)) : [];
    // Excel takes a file without the mark for one of the local code page.
    this.#text = format === 'json' ? '[' : `\uFEFF${csvRow(columns)}`;
  }

  /** Adds a row. @returns whether the file takes another one */
  add(row: readonly Cell[]): boolean {
    this.#text +=
      this.#format === 'csv'
        ? csvRow(row)
        : `${this.rows === 0 ? '' : ','}\n{${row.map((value, n) => `${this.#names[n]}:${jsonOf(value)}`).join(',')}}`;
    this.rows += 1;
    if (this.#text.length >= partLength) this.#seal();
    return this.#bytes < this.#maxBytes;
  }

  /** The whole file. */
  end(): Blob {
    if (this.#format === 'json') this.#text += '\n]\n';
    this.#seal();
    return new Blob(this.#parts, { type: this.#format === 'csv' ? 'text/csv' : 'application/json' });
  }

  #seal(): void {
    const part = new Blob([this.#text]);
    this.#parts.push(part);
    this.#bytes += part.size;
    this.#text = '';
  }
}

/** A row of CSV (RFC 4180). A text that a spreadsheet would take for a formula begins with an apostrophe. */
function csvRow(row: readonly Cell[]): string {
  const field = (value: Cell): string => {
    const text = value === null ? '' : String(value);
    const safe = typeof value === 'string' && formula.test(text) && !number.test(text) ? `'${text}` : text;
    return toBeQuoted.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  return `${row.map(field).join(',')}\r\n`;
}

/** A value as JSON. What JSON has no number for is a text: integers beyond the safe ones, and infinity. */
function jsonOf(value: Cell): string {
  const isText = typeof value === 'bigint' || (typeof value === 'number' && !Number.isFinite(value));
  return JSON.stringify(isText ? String(value) : value);
}

/** Names of columns, of which those that are there already get a number: `a`, `a_2`. */
function distinct(columns: readonly string[]): string[] {
  const taken = new Set(columns);
  const used = new Set<string>();
  return columns.map((name) => {
    let own = name;
    for (let n = 2; used.has(own) || (own !== name && taken.has(own)); n++) own = `${name}_${n}`;
    used.add(own);
    return own;
  });
}

/**
 * Walks JSON objects in a page's bytes and tells where the wanted properties' values stand.
 * No strings and no objects are made; it keeps the rules of JSON.parse: what that refuses is refused here,
 * and of a property that comes twice the last one counts.
 */

import { RetriableError } from '../errors.ts';

// What stands at a property. Everything above `null` is a value.
export const ABSENT = 0;
export const NULL = 1;
export const TRUE = 2;
export const FALSE = 3;
/** A number without fraction and exponent. */
export const INTEGER = 4;
/** Any other number. */
export const NUMBER = 5;
/** A string without escapes; its bounds leave the quotes out. */
export const STRING = 6;
/** A string with escapes; its bounds leave the quotes out. */
export const ESCAPED = 7;
/** An object or array without white space between its tokens. */
export const NESTED = 8;
/** An object or array with white space between its tokens. */
export const SPACED = 9;

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

/** 1 for a byte that ends the plain run of a string: quote, backslash, control character. */
const endsRun = new Uint8Array(256);
endsRun.fill(1, 0, 0x20);
endsRun[QUOTE] = 1;
endsRun[BACKSLASH] = 1;

/** More different keys than any table has columns: beyond this many they are looked up, not learnt. */
const keysLearnt = 8192;
const UNWANTED = -1;

/**
 * A key that was seen, as the bytes `"key":`, to be compared in words of four bytes.
 * After a key mostly comes the one that came after it in the last record, or, where nulls leave annotations
 * out, one of two: so these two are compared before anything is looked up.
 */
interface KnownKeys {
  count: number;
  words: Int32Array;
  wordCount: number;
  firstWord: Int32Array;
  byteLength: Int32Array;
  slot: Int32Array;
  likelyNext: Int32Array;
  alsoNext: Int32Array;
}

export class RecordScanner {
  /** By the property's place in the list given to the constructor: what stands there, from where to where. */
  readonly kinds: Uint8Array;
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  /** The current record's own bounds, its braces included. */
  recordStart = 0;
  recordEnd = 0;

  readonly #slots: ReadonlyMap<string, number>;
  readonly #keys: KnownKeys;
  readonly #keysByText = new Map<string, number>();
  #bytes: Buffer = Buffer.alloc(0);
  #view: DataView = new DataView(new ArrayBuffer(0));
  #position = 0;
  #first = true;
  /** The slot of a key that was looked up but not learnt. */
  #slotLookedUp = UNWANTED;
  #lookedUpEnd = 0;

  constructor(properties: readonly string[]) {
    this.#slots = new Map(properties.map((property, slot) => [property, slot]));
    this.kinds = new Uint8Array(properties.length);
    this.starts = new Int32Array(properties.length);
    this.ends = new Int32Array(properties.length);
    this.#keys = {
      count: 1,
      words: new Int32Array(16384),
      wordCount: 0,
      firstWord: new Int32Array(keysLearnt),
      byteLength: new Int32Array(keysLearnt),
      slot: new Int32Array(keysLearnt).fill(UNWANTED),
      likelyNext: new Int32Array(keysLearnt),
      alsoNext: new Int32Array(keysLearnt),
    };
    // Key 0 stands before the first key of a record, and is too long to be found.
    this.#keys.byteLength[0] = 0x3fffffff;
  }

  /** Begins with the records in `bytes[start, end)`: objects between commas, the inside of an array. */
  begin(bytes: Uint8Array, start: number, end: number): void {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, end);
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, end);
    this.#position = start;
    this.#first = true;
  }

  /**
   * Goes to the next record, or returns false after the last one.
   * @throws RetriableError naming the byte where the JSON is broken
   */
  next(): boolean {
    const bytes = this.#bytes;
    const view = this.#view;
    const limit = bytes.length;
    const { kinds, starts, ends } = this;
    const { words, firstWord, byteLength, slot: slots, likelyNext, alsoNext } = this.#keys;

    let i = this.#skipSpace(this.#position);
    if (i >= limit) {
      this.#position = limit;
      return false;
    }
    if (!this.#first) {
      if (bytes[i] !== COMMA) throw this.#malformed(i, 'a comma should stand between records');
      i = this.#skipSpace(i + 1);
    }
    this.#first = false;
    if (bytes[i] !== OPEN_BRACE) throw this.#malformed(i, 'a record should begin with a brace');
    this.recordStart = i;
    kinds.fill(ABSENT);
    i += 1;
    if (isSpace(bytes[i])) i = this.#skipSpace(i);

    let c = bytes[i];
    let key = 0;
    if (c !== CLOSE_BRACE) {
      for (;;) {
        // The key, as a likely one or looked up.
        let slot: number;
        let next = likelyNext[key]!;
        let length = byteLength[next]!;
        let found = false;
        if (i + length <= limit) {
          let word = firstWord[next]!;
          const last = i + length - 4;
          let at = i;
          while (at < last && view.getInt32(at, true) === words[word]) {
            at += 4;
            word += 1;
          }
          found = at >= last && view.getInt32(last, true) === words[word];
        }
        if (!found) {
          next = alsoNext[key]!;
          length = byteLength[next]!;
          if (i + length <= limit) {
            let word = firstWord[next]!;
            const last = i + length - 4;
            let at = i;
            while (at < last && view.getInt32(at, true) === words[word]) {
              at += 4;
              word += 1;
            }
            found = at >= last && view.getInt32(last, true) === words[word];
          }
        }
        if (found) {
          i += length;
          slot = slots[next]!;
          key = next;
        } else {
          key = this.#lookUp(i, key);
          slot = this.#slotLookedUp;
          i = this.#lookedUpEnd;
        }

        // The value.
        c = bytes[i];
        if (isSpace(c)) {
          i = this.#skipSpace(i);
          c = bytes[i];
        }
        let kind: number;
        let start = i;
        let end: number;
        if (c === QUOTE) {
          start = i + 1;
          end = start;
          while (endsRun[bytes[end]!] === 0) end += 1;
          if (bytes[end] === QUOTE) {
            kind = STRING;
          } else {
            end = this.#endOfString(end);
            kind = ESCAPED;
          }
          i = end + 1;
        } else if (c === 0x6e && i + 4 <= limit && view.getInt32(i, true) === 0x6c6c756e) {
          kind = NULL;
          end = i += 4;
        } else if (c === 0x2d || (c! >= 0x30 && c! <= 0x39)) {
          kind = INTEGER;
          if (c === 0x2d) i += 1;
          c = bytes[i];
          i += 1;
          if (c! >= 0x31 && c! <= 0x39) {
            while (isDigit(bytes[i])) i += 1;
          } else if (c !== 0x30) {
            throw this.#malformed(i - 1, 'a digit is missing');
          }
          c = bytes[i];
          if (c === 0x2e || c === 0x65 || c === 0x45) {
            kind = NUMBER;
            i = this.#endOfNumber(i);
          }
          end = i;
        } else if (c === 0x74 && i + 4 <= limit && view.getInt32(i, true) === 0x65757274) {
          kind = TRUE;
          end = i += 4;
        } else if (c === 0x66 && i + 5 <= limit && view.getInt32(i + 1, true) === 0x65736c61) {
          kind = FALSE;
          end = i += 5;
        } else if (c === OPEN_BRACE || c === OPEN_BRACKET) {
          i = this.#endOfNested(i);
          kind = this.#nestedKind;
          end = i;
        } else {
          throw this.#malformed(i, 'a value should stand here');
        }
        if (slot !== UNWANTED) {
          kinds[slot] = kind;
          starts[slot] = start;
          ends[slot] = end;
        }

        // What comes after it.
        c = bytes[i];
        if (isSpace(c)) {
          i = this.#skipSpace(i);
          c = bytes[i];
        }
        if (c === COMMA) {
          i += 1;
          if (isSpace(bytes[i])) i = this.#skipSpace(i);
        } else if (c === CLOSE_BRACE) {
          break;
        } else {
          throw this.#malformed(i, 'a comma or a brace should stand here');
        }
      }
    }
    this.recordEnd = i + 1;
    this.#position = i + 1;
    return true;
  }

  /** The text at a property, decoded; of an object or array its JSON text without white space. */
  text(slot: number): string {
    return this.textOf(this.kinds[slot]!, this.starts[slot]!, this.ends[slot]!);
  }

  isString(slot: number): boolean {
    return this.kinds[slot] === STRING || this.kinds[slot] === ESCAPED;
  }

  /** The text of a value of this kind with these bounds. */
  textOf(kind: number, start: number, end: number): string {
    if (kind === ESCAPED) {
      return (JSON.parse(this.#bytes.toString('utf8', start - 1, end + 1)) as string).toWellFormed();
    }
    const text = this.#bytes.toString('utf8', start, end);
    return kind === SPACED ? minified(text) : text;
  }

  /** An error that names `position` as the place of the fault. */
  #malformed(position: number, fault: string): RetriableError {
    const where = position >= this.#bytes.length ? `its end, byte ${this.#bytes.length}` : `byte ${position}`;
    return new RetriableError(`malformed JSON at ${where}: ${fault}`, {
      operation: 'read records',
      hint: 'the response was cut short or changed on its way; if it comes again, compare it with the one that the service sent',
    });
  }

  #skipSpace(from: number): number {
    let i = from;
    while (isSpace(this.#bytes[i])) i += 1;
    return i;
  }

  /** The place of the closing quote, from a place inside a string at which no plain character stands. */
  #endOfString(from: number): number {
    const bytes = this.#bytes;
    let i = from;
    for (;;) {
      while (endsRun[bytes[i]!] === 0) i += 1;
      const c = bytes[i];
      if (c === QUOTE) return i;
      if (c !== BACKSLASH) throw this.#malformed(i, 'a string is not closed, or holds a control character');
      const escaped = bytes[i + 1];
      if (escaped === 0x75) {
        for (let k = i + 2; k < i + 6; k++) {
          if (!isHexDigit(bytes[k])) throw this.#malformed(k, 'a hexadecimal digit is missing');
        }
        i += 6;
      } else if (escaped !== undefined && '"\\/bfnrt'.includes(String.fromCharCode(escaped))) {
        i += 2;
      } else {
        throw this.#malformed(i, 'an unknown escape');
      }
    }
  }

  /** The end of a number, from its point or exponent. */
  #endOfNumber(from: number): number {
    const bytes = this.#bytes;
    let i = from;
    if (bytes[i] === 0x2e) {
      i += 1;
      if (!isDigit(bytes[i])) throw this.#malformed(i, 'a digit is missing');
      while (isDigit(bytes[i])) i += 1;
    }
    if (bytes[i] === 0x65 || bytes[i] === 0x45) {
      i += 1;
      if (bytes[i] === 0x2b || bytes[i] === 0x2d) i += 1;
      if (!isDigit(bytes[i])) throw this.#malformed(i, 'a digit is missing');
      while (isDigit(bytes[i])) i += 1;
    }
    return i;
  }

  #nestedKind = NESTED;

  /** The end of an object or array: found by its brackets, and then checked by JSON.parse. They are rare. */
  #endOfNested(from: number): number {
    const bytes = this.#bytes;
    let i = from;
    let depth = 0;
    this.#nestedKind = NESTED;
    do {
      const c = bytes[i];
      if (c === QUOTE) {
        i = this.#endOfString(i + 1);
      } else if (c === OPEN_BRACE || c === OPEN_BRACKET) {
        depth += 1;
      } else if (c === CLOSE_BRACE || c === CLOSE_BRACKET) {
        depth -= 1;
      } else if (isSpace(c)) {
        this.#nestedKind = SPACED;
      } else if (c === undefined) {
        throw this.#malformed(i, 'an object or array is not closed');
      }
      i += 1;
    } while (depth > 0);
    try {
      JSON.parse(bytes.toString('utf8', from, i));
    } catch {
      // The parser's own message would show the data.
      throw this.#malformed(from, 'the object or array that begins here is not valid');
    }
    return i;
  }

  /** Finds the key at `from` in the table, or learns it; leaves its slot and the end of its colon. */
  #lookUp(from: number, previous: number): number {
    const bytes = this.#bytes;
    if (bytes[from] !== QUOTE) throw this.#malformed(from, 'a key should stand here');
    let end = from + 1;
    while (endsRun[bytes[end]!] === 0) end += 1;
    const escaped = bytes[end] !== QUOTE;
    if (escaped) end = this.#endOfString(end);
    const colon = this.#skipSpace(end + 1);
    if (bytes[colon] !== COLON) throw this.#malformed(colon, 'a colon should stand here');
    this.#lookedUpEnd = colon + 1;

    const text = bytes.toString('latin1', from + 1, end);
    let key = this.#keysByText.get(text);
    if (key === undefined) {
      const name = this.textOf(escaped ? ESCAPED : STRING, from + 1, end);
      const slot = this.#slots.get(name) ?? UNWANTED;
      if (this.#keys.count >= keysLearnt) {
        this.#slotLookedUp = slot;
        return 0;
      }
      key = this.#learn(Buffer.from(`"${text}":`, 'latin1'), slot);
      this.#keysByText.set(text, key);
    }
    this.#slotLookedUp = this.#keys.slot[key]!;
    const { likelyNext, alsoNext } = this.#keys;
    if (likelyNext[previous] !== key && alsoNext[previous] !== key) {
      alsoNext[previous] = likelyNext[previous]!;
      likelyNext[previous] = key;
    }
    return key;
  }

  #learn(bytes: Buffer, slot: number): number {
    const keys = this.#keys;
    const key = keys.count;
    keys.count += 1;
    keys.slot[key] = slot;
    // The empty key has three bytes, too few for a word: it is looked up each time.
    keys.byteLength[key] = bytes.length < 4 ? 0x3fffffff : bytes.length;
    keys.firstWord[key] = keys.wordCount;
    if (bytes.length < 4) return key;
    const needed = keys.wordCount + Math.ceil(bytes.length / 4);
    if (needed > keys.words.length) {
      const grown = new Int32Array(needed * 2);
      grown.set(keys.words);
      keys.words = grown;
    }
    const last = bytes.length - 4;
    for (let at = 0; at < last; at += 4) keys.words[keys.wordCount++] = bytes.readInt32LE(at);
    // The last word overlaps the one before, so that no byte is left over.
    keys.words[keys.wordCount++] = bytes.readInt32LE(last);
    return key;
  }
}

/** JSON text without the white space between its tokens. */
export function minified(json: string): string {
  return json.replace(/("(?:[^"\\]|\\.)*")|[ \n\r\t]+/g, '$1');
}

function isSpace(c: number | undefined): boolean {
  return c === 0x20 || c === 0x0a || c === 0x0d || c === 0x09;
}

function isDigit(c: number | undefined): boolean {
  return c !== undefined && c >= 0x30 && c <= 0x39;
}

function isHexDigit(c: number | undefined): boolean {
  return isDigit(c) || (c !== undefined && ((c >= 0x41 && c <= 0x46) || (c >= 0x61 && c <= 0x66)));
}

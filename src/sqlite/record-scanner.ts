import {
  ABSENT,
  CLOSE_BRACE,
  COLON,
  COMMA,
  ESCAPED,
  endOfNested,
  endOfNumber,
  endOfString,
  endsRun,
  FALSE,
  INTEGER,
  isDigit,
  isSpace,
  malformed,
  NULL,
  NUMBER,
  OPEN_BRACE,
  OPEN_BRACKET,
  QUOTE,
  STRING,
  TRUE,
  textOf,
} from './json-tokens.ts';
import { KnownKeys, UNWANTED } from './known-keys.ts';

/** Other spellings of properties that one scanner resolves, and unknown names that it lists. */
const maxSpellings = 256;
const maxUnknown = 100;

export interface ScannerOptions {
  /** Whether a key that differs from one property by letter case alone stands for it. The exact key counts first. */
  anyCase?: boolean | undefined;
}

/**
 * Walks through JSON objects in the bytes of a page and finds the values of the wanted properties. It makes no strings
 * and no objects. It follows JSON.parse: it rejects the same input, and the last one of two equal keys counts.
 */
export class RecordScanner {
  /** For each property, by its index in the list given to the constructor: the kind and bounds of its value. */
  readonly kinds: Uint8Array;
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  /** The bounds of the current record, braces included. */
  recordStart = 0;
  recordEnd = 0;

  /** Keys that are none of the properties, without annotations, in the order of their first records. */
  readonly unknown = new Set<string>();

  readonly #slots: ReadonlyMap<string, number>;
  /** The slots of properties by their names in lower case; undefined for names that several properties have. */
  readonly #byLowerCase: ReadonlyMap<string, number | undefined>;
  /** Keys that stand for a property, each with a slot of its own, so that an exact key in the same record counts. */
  readonly #spellings: { key: string; slot: number; of: number }[] = [];
  readonly #keys = new KnownKeys();
  #bytes: Buffer = Buffer.alloc(0);
  #view: DataView = new DataView(new ArrayBuffer(0));
  #position = 0;
  #first = true;
  // What #lookUp found beside the key: its slot, and where its value can begin.
  #slotLookedUp = UNWANTED;
  #lookedUpEnd = 0;

  constructor(properties: readonly string[], { anyCase = false }: ScannerOptions = {}) {
    this.#slots = new Map(properties.map((property, slot) => [property, slot]));
    const byLowerCase = new Map<string, number | undefined>();
    for (const [slot, property] of anyCase ? properties.entries() : []) {
      const lower = property.toLowerCase();
      byLowerCase.set(lower, byLowerCase.has(lower) ? undefined : slot);
    }
    this.#byLowerCase = byLowerCase;
    const slots = properties.length + (anyCase ? maxSpellings : 0);
    this.kinds = new Uint8Array(slots);
    this.starts = new Int32Array(slots);
    this.ends = new Int32Array(slots);
  }

  /** Starts with the records in `bytes[start, end)`: objects separated by commas, the inside of an array. */
  begin(bytes: Uint8Array, start: number, end: number): void {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, end);
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, end);
    this.#position = start;
    this.#first = true;
  }

  /**
   * Goes to the next record, or returns false after the last one.
   * @throws RetriableError with the position at which the JSON is broken
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
      if (bytes[i] !== COMMA) throw malformed(bytes, i, 'expected a comma between records');
      i = this.#skipSpace(i + 1);
    }
    this.#first = false;
    if (bytes[i] !== OPEN_BRACE) throw malformed(bytes, i, 'expected a brace at the start of a record');
    this.recordStart = i;
    kinds.fill(ABSENT);
    i += 1;
    if (isSpace(bytes[i])) i = this.#skipSpace(i);

    let c = bytes[i];
    let key = 0;
    if (c !== CLOSE_BRACE) {
      for (;;) {
        // The key: one of the two likely ones, or looked up. The comparison is written out twice for speed.
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
            end = endOfString(bytes, end);
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
            throw malformed(bytes, i - 1, 'expected a digit');
          }
          c = bytes[i];
          if (c === 0x2e || c === 0x65 || c === 0x45) {
            kind = NUMBER;
            i = endOfNumber(bytes, i);
          }
          end = i;
        } else if (c === 0x74 && i + 4 <= limit && view.getInt32(i, true) === 0x65757274) {
          kind = TRUE;
          end = i += 4;
        } else if (c === 0x66 && i + 5 <= limit && view.getInt32(i + 1, true) === 0x65736c61) {
          kind = FALSE;
          end = i += 5;
        } else if (c === OPEN_BRACE || c === OPEN_BRACKET) {
          ({ kind, end } = endOfNested(bytes, i));
          i = end;
        } else {
          throw malformed(bytes, i, 'expected a value');
        }
        if (slot !== UNWANTED) {
          kinds[slot] = kind;
          starts[slot] = start;
          ends[slot] = end;
        }

        // What comes after the value.
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
          throw malformed(bytes, i, 'expected a comma or a brace');
        }
      }
    }
    this.recordEnd = i + 1;
    this.#position = i + 1;
    if (this.#spellings.length > 0) this.#resolveSpellings();
    return true;
  }

  /** Gives properties the values that the record has under other spellings. */
  #resolveSpellings(): void {
    const { kinds, starts, ends } = this;
    for (const { slot, of } of this.#spellings) {
      if (kinds[slot] === ABSENT || kinds[of] !== ABSENT) continue;
      kinds[of] = kinds[slot]!;
      starts[of] = starts[slot]!;
      ends[of] = ends[slot]!;
    }
  }

  /** The slot of a key that is none of the properties. */
  #slotOfOther(key: string): number {
    const of = this.#byLowerCase.get(key.toLowerCase());
    const known = this.#spellings.find((spelling) => spelling.key === key);
    if (known !== undefined) return known.slot;
    if (of !== undefined && this.#spellings.length < maxSpellings) {
      const slot = this.#slots.size + this.#spellings.length;
      this.#spellings.push({ key, slot, of });
      return slot;
    }
    if (!key.includes('@') && this.unknown.size < maxUnknown) this.unknown.add(key);
    return UNWANTED;
  }

  /** The text of a property's value, decoded; the minified JSON text of an object or array. */
  text(slot: number): string {
    return textOf(this.#bytes, this.kinds[slot]!, this.starts[slot]!, this.ends[slot]!);
  }

  isString(slot: number): boolean {
    return this.kinds[slot] === STRING || this.kinds[slot] === ESCAPED;
  }

  #skipSpace(from: number): number {
    let i = from;
    while (isSpace(this.#bytes[i])) i += 1;
    return i;
  }

  /** Finds the key at `from`, or adds it to the known keys. */
  #lookUp(from: number, previous: number): number {
    const bytes = this.#bytes;
    if (bytes[from] !== QUOTE) throw malformed(bytes, from, 'expected a key');
    let end = from + 1;
    while (endsRun[bytes[end]!] === 0) end += 1;
    const escaped = bytes[end] !== QUOTE;
    if (escaped) end = endOfString(bytes, end);
    const colon = this.#skipSpace(end + 1);
    if (bytes[colon] !== COLON) throw malformed(bytes, colon, 'expected a colon');
    this.#lookedUpEnd = colon + 1;

    const text = bytes.toString('latin1', from + 1, end);
    let key = this.#keys.find(text);
    if (key === undefined) {
      const name = textOf(bytes, escaped ? ESCAPED : STRING, from + 1, end);
      this.#slotLookedUp = this.#slots.get(name) ?? this.#slotOfOther(name);
      key = this.#keys.add(text, this.#slotLookedUp);
      if (key === undefined) return 0;
    } else {
      this.#slotLookedUp = this.#keys.slot[key]!;
    }
    this.#keys.noteNext(previous, key);
    return key;
  }
}

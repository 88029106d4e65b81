/** More different keys than any table has columns. The scanner looks up keys beyond this many each time. */
const maxKeys = 8192;
/** The slot of a key that no column needs. */
export const UNWANTED = -1;
/** Longer than any page, so that the scanner never finds such a key by its bytes. */
const tooLong = 0x3fffffff;

/**
 * The keys that a scanner met, as the bytes `"key":`, to compare in words of four bytes. Most keys follow the key that
 * they followed in the previous record, or, because Dataverse leaves out annotations of nulls, one of two: the scanner
 * compares these two before it looks up a key.
 */
export class KnownKeys {
  /** The words of all keys. */
  words = new Int32Array(16384);
  // The rest by key. Key 0 comes before the first key of a record.
  readonly firstWord = new Int32Array(maxKeys);
  readonly byteLength = new Int32Array(maxKeys);
  readonly slot = new Int32Array(maxKeys).fill(UNWANTED);
  readonly likelyNext = new Int32Array(maxKeys);
  readonly alsoNext = new Int32Array(maxKeys);
  readonly #byText = new Map<string, number>();
  #wordCount = 0;

  constructor() {
    this.byteLength[0] = tooLong;
  }

  /** The key with this text between its quotes, as the page has it. */
  find(text: string): number | undefined {
    return this.#byText.get(text);
  }

  /** Adds a key. Returns undefined if the table is full. */
  add(text: string, slot: number): number | undefined {
    const key = this.#byText.size + 1;
    if (key >= maxKeys) return undefined;
    this.#byText.set(text, key);
    this.slot[key] = slot;
    this.firstWord[key] = this.#wordCount;
    const bytes = Buffer.from(`"${text}":`, 'latin1');
    // The empty key has three bytes, fewer than a word.
    this.byteLength[key] = bytes.length < 4 ? tooLong : bytes.length;
    if (bytes.length < 4) return key;
    const needed = this.#wordCount + Math.ceil(bytes.length / 4);
    if (needed > this.words.length) {
      const words = new Int32Array(needed * 2);
      words.set(this.words);
      this.words = words;
    }
    const last = bytes.length - 4;
    for (let at = 0; at < last; at += 4) this.words[this.#wordCount++] = bytes.readInt32LE(at);
    // The last word overlaps the previous one, so that no byte remains.
    this.words[this.#wordCount++] = bytes.readInt32LE(last);
    return key;
  }

  /** Remembers that `key` came after `previous`. */
  noteNext(previous: number, key: number): void {
    if (this.likelyNext[previous] === key || this.alsoNext[previous] === key) return;
    this.alsoNext[previous] = this.likelyNext[previous]!;
    this.likelyNext[previous] = key;
  }
}

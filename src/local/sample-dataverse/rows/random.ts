/** A small pseudo-random generator (sfc32). The same seed gives the same numbers on every machine. */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #d = 1;

  constructor(seed: number, stream: string, index = 0) {
    this.#a = seed | 0;
    this.#b = hash(stream);
    this.#c = Math.imul(index + 1, 0x9e3779b1) | 0;
    for (let i = 0; i < 12; i++) this.uint32();
  }

  uint32(): number {
    const t = (((this.#a + this.#b) | 0) + this.#d) | 0;
    this.#d = (this.#d + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + t;
    return t >>> 0;
  }

  /** A number in [0, 1). */
  fraction(): number {
    return this.uint32() / 4294967296;
  }

  /** A whole number in [0, limit). */
  below(limit: number): number {
    return Math.floor(this.fraction() * limit);
  }

  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }

  /** A whole number from `low` to `high`, both included. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  /** An item, with a probability in proportion to its weight. */
  weighted<T extends { weight: number }>(items: readonly T[]): T {
    let left = this.fraction() * weightOf(items);
    for (const item of items) {
      left -= item.weight;
      if (left < 0) return item;
    }
    return items.at(-1)!;
  }

  /** Normally distributed around 0 with a standard deviation of 1, nearly. */
  normal(): number {
    return (this.fraction() + this.fraction() + this.fraction() + this.fraction() - 2) * Math.sqrt(3);
  }

  /** Exponentially distributed around a mean. */
  exponential(mean: number): number {
    return -mean * Math.log(1 - this.fraction());
  }

  /** Replaces each `#` by a digit and each `@` by a capital letter. */
  pattern(text: string): string {
    return text.replace(/[#@]/g, (mark) =>
      mark === '#' ? String(this.below(10)) : String.fromCharCode(65 + this.below(26)),
    );
  }

  digits(count: number): string {
    let text = '';
    for (let i = 0; i < count; i++) text += this.below(10);
    return text;
  }

  guid(): string {
    const a = this.uint32();
    const b = this.uint32();
    const c = this.uint32();
    const d = this.uint32();
    return `${hex(a >>> 16)}${hex(a & 0xffff)}-${hex(b >>> 16)}-${hex(0x4000 | (b & 0x0fff))}-${hex(0xa000 | ((c >>> 16) & 0x0fff))}-${hex(c & 0xffff)}${hex(d >>> 16)}${hex(d & 0xffff)}`;
  }
}

/** All four-digit hexadecimal texts, because rows spend much time on GUIDs. */
const hexTexts = Array.from({ length: 65_536 }, (_, value) => value.toString(16).padStart(4, '0'));

function hex(value: number): string {
  return hexTexts[value]!;
}

const weights = new WeakMap<readonly object[], number>();

function weightOf(items: readonly { weight: number }[]): number {
  let sum = weights.get(items);
  if (sum === undefined) {
    sum = items.reduce((total, { weight }) => total + weight, 0);
    weights.set(items, sum);
  }
  return sum;
}

function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h | 0;
}

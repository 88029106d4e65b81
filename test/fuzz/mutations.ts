import fc from 'fast-check';

/** A damage to a document. Places are in millionths of its length, so that they exist in every document. */
export type Damage =
  | { do: 'remove'; at: number; bytes: number }
  | { do: 'insert'; at: number; text: string }
  | { do: 'replace'; at: number; text: string }
  | { do: 'flip'; at: number; bit: number }
  | { do: 'repeat'; at: number; bytes: number }
  | { do: 'move'; at: number; bytes: number; to: number }
  | { do: 'cut'; at: number };

/** The parts of a document in which places are given. */
const parts = 1_000_000;
/** Without bias, otherwise almost all places are at the beginning; but the head of a document matters most. */
const place = fc.oneof(
  { weight: 3, arbitrary: fc.noBias(fc.nat(parts - 1)) },
  fc.noBias(fc.nat(parts / 100)),
);
const few = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 1, max: 4 }) },
  fc.integer({ min: 1, max: 400 }),
);

function damage(tokens: readonly string[]): fc.Arbitrary<Damage> {
  const text = fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom(...tokens) },
    fc.string({ unit: 'binary', maxLength: 4 }).map((some) => some.toWellFormed()),
  );
  return fc.oneof(
    fc.record({ do: fc.constant('remove' as const), at: place, bytes: few }),
    { weight: 3, arbitrary: fc.record({ do: fc.constant('insert' as const), at: place, text }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('replace' as const), at: place, text }) },
    fc.record({ do: fc.constant('flip' as const), at: place, bit: fc.nat(7) }),
    fc.record({ do: fc.constant('repeat' as const), at: place, bytes: few }),
    fc.record({ do: fc.constant('move' as const), at: place, bytes: few, to: place }),
    fc.record({ do: fc.constant('cut' as const), at: place }),
  );
}

function apply(bytes: Buffer, damage: Damage): Buffer {
  const at = Math.floor((damage.at / parts) * bytes.length);
  const join = (...parts: Uint8Array[]): Buffer => Buffer.concat(parts);
  switch (damage.do) {
    case 'remove':
      return join(bytes.subarray(0, at), bytes.subarray(at + damage.bytes));
    case 'insert':
      return join(bytes.subarray(0, at), Buffer.from(damage.text), bytes.subarray(at));
    case 'replace': {
      const text = Buffer.from(damage.text);
      return join(bytes.subarray(0, at), text, bytes.subarray(at + text.length));
    }
    case 'flip': {
      const copy = Buffer.from(bytes);
      if (at < copy.length) copy[at]! ^= 1 << damage.bit;
      return copy;
    }
    case 'repeat':
      return join(bytes.subarray(0, at + damage.bytes), bytes.subarray(at));
    case 'move': {
      const moved = bytes.subarray(at, at + damage.bytes);
      const rest = join(bytes.subarray(0, at), bytes.subarray(at + damage.bytes));
      const to = Math.floor((damage.to / parts) * rest.length);
      return join(rest.subarray(0, to), moved, rest.subarray(to));
    }
    case 'cut':
      return bytes.subarray(0, at);
  }
}

/** A damaged document. Prints itself as what was done to which document, and the first place that differs. */
export class Mutant {
  readonly name: string;
  readonly bytes: Buffer;
  readonly damages: readonly Damage[];
  readonly #original: Buffer;

  constructor(name: string, original: Buffer, damages: readonly Damage[]) {
    this.name = name;
    this.#original = original;
    this.damages = damages;
    this.bytes = damages.reduce(apply, original);
  }

  [fc.toStringMethod](): string {
    const { bytes } = this;
    const original = this.#original;
    let at = 0;
    while (at < bytes.length && bytes[at] === original[at]) at += 1;
    const around = (text: Buffer): string =>
      JSON.stringify(text.toString('latin1', at > 30 ? at - 30 : 0, at + 60));
    const steps = this.damages.map((one) => JSON.stringify(one)).join('\n    ');
    return `${this.name} after\n    ${steps}\n  byte ${at}: ${around(original)}\n    became ${around(bytes)}\n`;
  }
}

/** One to three damages. @param tokens texts that mean something in the document */
export function damages(tokens: readonly string[]): fc.Arbitrary<Damage[]> {
  return fc.array(damage(tokens), { minLength: 1, maxLength: 3 });
}

/** One to eight damages that leave every other byte where it is, as a file with pages needs it. */
export function damagesInPlace(tokens: readonly string[]): fc.Arbitrary<Damage[]> {
  const inPlace = damage(tokens).filter((one) => one.do === 'flip' || one.do === 'replace');
  return fc.array(inPlace, { minLength: 1, maxLength: 8 });
}

/** One of the documents, damaged once to thrice. @param tokens texts that mean something in them */
export function mutants(
  documents: Readonly<Record<string, Buffer>>,
  tokens: readonly string[],
): fc.Arbitrary<Mutant> {
  return fc
    .tuple(fc.constantFrom(...Object.keys(documents)), damages(tokens))
    .map(([name, done]) => new Mutant(name, documents[name]!, done));
}

/** Bytes that are no document at all, some of them made of its tokens. */
export function noise(tokens: readonly string[]): fc.Arbitrary<Mutant> {
  return fc
    .oneof(
      fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
      fc.array(fc.constantFrom(...tokens), { maxLength: 30 }).map((some) => Buffer.from(some.join(''))),
    )
    .map((bytes) => new Mutant('noise', bytes, []));
}

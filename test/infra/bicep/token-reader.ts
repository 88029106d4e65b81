import { BicepError, type Place, type Token } from './tokens.ts';

/** Steps through tokens; `expect…` throws a BicepError that says what should be there. */
export class TokenReader {
  readonly #tokens: Token[];
  #at = 0;

  constructor(tokens: Token[]) {
    this.#tokens = tokens;
  }

  get next(): Token {
    return this.#tokens[this.#at]!;
  }

  get isEnd(): boolean {
    return this.next.kind === 'end';
  }

  get place(): Place {
    return this.next.place;
  }

  get position(): number {
    return this.#at;
  }

  /** Goes back to a position that was read before. */
  rewind(position: number): void {
    this.#at = position;
  }

  take(): Token {
    const token = this.next;
    if (token.kind !== 'end') this.#at += 1;
    return token;
  }

  isMark(text: string): boolean {
    return this.next.kind === 'mark' && this.next.text === text;
  }

  isName(text?: string): boolean {
    return this.next.kind === 'name' && (text === undefined || this.next.text === text);
  }

  takeMark(text: string): boolean {
    if (!this.isMark(text)) return false;
    this.take();
    return true;
  }

  takeName(text: string): boolean {
    if (!this.isName(text)) return false;
    this.take();
    return true;
  }

  /** Skips newlines; says whether there was one. */
  skipNewlines(): boolean {
    const before = this.#at;
    while (this.next.kind === 'newline') this.take();
    return this.#at > before;
  }

  expectMark(text: string): void {
    if (!this.takeMark(text)) this.fail(`"${text}"`);
  }

  expectName(what = 'a name'): string {
    const token = this.next;
    if (token.kind !== 'name') this.fail(what);
    this.take();
    return token.text;
  }

  /** A string without `${…}`. */
  expectText(what: string): string {
    const token = this.next;
    if (token.kind !== 'string' || token.expressions.length > 0) this.fail(what);
    this.take();
    return token.texts[0]!;
  }

  fail(expected: string): never {
    const { next } = this;
    const found =
      next.kind === 'name' || next.kind === 'mark'
        ? `"${next.text}"`
        : next.kind === 'number'
          ? String(next.value)
          : { string: 'a string', newline: 'the end of the line', end: 'the end' }[next.kind];
    throw new BicepError(`Expected ${expected}, found ${found}`, next.place);
  }
}

const BACKSLASH = 0x5c;
const U = 0x75;
const REPLACEMENT = 0xfffd;

/** The character that an escape stands for, by the character after the backslash. */
const escapes = new Uint8Array(128);
for (const [letter, meaning] of Object.entries({
  ...{ '"': '"', '\\': '\\', '/': '/' },
  ...{ b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' },
})) {
  escapes[letter.charCodeAt(0)] = meaning.charCodeAt(0);
}

/**
 * Decodes the inside of a valid JSON string to UTF-8 at `target[at…]` and returns the end. A lone surrogate, which
 * UTF-8 cannot encode, becomes U+FFFD. The result is never longer than the source.
 */
export function decodeJsonString(
  source: Uint8Array,
  from: number,
  to: number,
  target: Uint8Array,
  at: number,
): number {
  let i = from;
  let end = at;
  while (i < to) {
    const c = source[i]!;
    if (c !== BACKSLASH) {
      target[end++] = c;
      i += 1;
      continue;
    }
    const escaped = source[i + 1]!;
    if (escaped !== U) {
      target[end++] = escapes[escaped]!;
      i += 2;
      continue;
    }
    let code = hexadecimal(source, i + 2);
    i += 6;
    if (code >= 0xd800 && code <= 0xdfff) {
      const low = i < to && source[i] === BACKSLASH && source[i + 1] === U ? hexadecimal(source, i + 2) : 0;
      if (code <= 0xdbff && low >= 0xdc00 && low <= 0xdfff) {
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        i += 6;
      } else {
        code = REPLACEMENT;
      }
    }
    if (code < 0x80) {
      target[end++] = code;
    } else if (code < 0x800) {
      target[end++] = 0xc0 | (code >> 6);
      target[end++] = 0x80 | (code & 0x3f);
    } else if (code < 0x10000) {
      target[end++] = 0xe0 | (code >> 12);
      target[end++] = 0x80 | ((code >> 6) & 0x3f);
      target[end++] = 0x80 | (code & 0x3f);
    } else {
      target[end++] = 0xf0 | (code >> 18);
      target[end++] = 0x80 | ((code >> 12) & 0x3f);
      target[end++] = 0x80 | ((code >> 6) & 0x3f);
      target[end++] = 0x80 | (code & 0x3f);
    }
  }
  return end;
}

/** The value of four hexadecimal digits. */
function hexadecimal(source: Uint8Array, from: number): number {
  let value = 0;
  for (let i = from; i < from + 4; i++) {
    const c = source[i]!;
    // '0' is 0x30, 'A' 0x41, 'a' 0x61.
    value = (value << 4) | (c <= 0x39 ? c - 0x30 : (c | 0x20) - 0x57);
  }
  return value;
}

/** A text with its ASCII letters in lower case. */
export function lowercase(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

/** The same for UTF-8 bytes, in place. */
export function lowercaseInPlace(bytes: Uint8Array, from: number, to: number): void {
  for (let i = from; i < to; i++) {
    const c = bytes[i]!;
    if (c >= 0x41 && c <= 0x5a) bytes[i] = c + 0x20;
  }
}

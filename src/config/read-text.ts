import { readFileSync } from 'node:fs';

/** Reads a text file, whatever editor saved it; see `decodeText`. */
export function readTextFile(path: string): string {
  return decodeText(readFileSync(path));
}

/**
 * The text of a file: UTF-8 or UTF-16, with or without a byte order mark. PowerShell and Notepad write UTF-16 with one.
 * Without one, UTF-16 is recognised by its first character, which is ASCII in a JSON or XML file.
 */
export function decodeText(bytes: Uint8Array): string {
  const [first, second] = bytes;
  if ((first === 0xfe && second === 0xff) || (first === 0 && second !== 0)) {
    return new TextDecoder('utf-16be').decode(bytes);
  }
  if ((first === 0xff && second === 0xfe) || (second === 0 && first !== 0)) {
    return new TextDecoder('utf-16le').decode(bytes);
  }
  return new TextDecoder('utf-8').decode(bytes);
}

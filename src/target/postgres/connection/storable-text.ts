/**
 * The text as PostgreSQL can store it: without the character 0, which no text there has, and with U+FFFD in place of halves
 * of surrogate pairs, which UTF-8 has not.
 */
export function storableText(text: string): string {
  return (text.includes('\0') ? text.replaceAll('\0', '') : text).toWellFormed();
}

/**
 * JSON for PostgreSQL. It refuses the escapes of what it cannot store, so the texts are repaired before they are escaped:
 * in JSON, an escaped backslash looks like the beginning of an escape.
 */
export function storableJson(value: unknown): string {
  return JSON.stringify(value, (_, one: unknown) => (typeof one === 'string' ? storableText(one) : one));
}

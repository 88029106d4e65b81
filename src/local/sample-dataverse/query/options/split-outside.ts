/** Splits a query option at a separator, but not inside brackets or quotes. */
export function splitOutside(text: string, separator: string): string[] {
  const parts: string[] = [''];
  let depth = 0;
  let quoted = false;
  for (const char of text) {
    if (char === "'") quoted = !quoted;
    if (!quoted && char === '(') depth++;
    if (!quoted && char === ')') depth--;
    if (char === separator && depth === 0 && !quoted) parts.push('');
    else parts[parts.length - 1] += char;
  }
  return parts;
}

/** A statement without the semicolons and space at its end. Not by a regular expression, which looks for the end everywhere. */
export function trimmed(sql: string): string {
  let end = sql.length;
  while (end > 0 && /[;\s]/.test(sql[end - 1]!)) end -= 1;
  return sql.slice(0, end);
}

/** The same without the comments there. It knows the usual quotes, but not those with `$` and `E`. */
export function withoutComments(sql: string): string {
  let end = 0;
  for (let at = 0; at < sql.length; ) {
    const character = sql[at]!;
    const isQuote = character === "'" || character === '"';
    const closing = isQuote
      ? character
      : sql.startsWith('--', at)
        ? '\n'
        : sql.startsWith('/*', at)
          ? '*/'
          : '';
    const found = closing === '' ? at : sql.indexOf(closing, at + (isQuote ? 1 : 2));
    const next = found < 0 ? sql.length : found + Math.max(1, closing.length);
    if (isQuote || (closing === '' && !/[;\s]/.test(character))) end = next;
    at = next;
  }
  return sql.slice(0, end);
}

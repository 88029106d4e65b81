/**
 * A text without the repetitions of one character at its end. A regular expression such as `/0+$/` looks for the end from
 * each repetition in the text: that takes hours for a few megabytes of them.
 */
export function withoutTrailing(text: string, character: string): string {
  let end = text.length;
  while (end > 0 && text[end - 1] === character) end -= 1;
  return text.slice(0, end);
}

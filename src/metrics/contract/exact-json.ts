import { withoutTrailing } from './without-trailing.ts';

/** A fault and where it is: a JSON Pointer (RFC 6901), empty for the whole body. */
export interface Fault {
  path: string;
  detail: string;
}

/** More than a list of records needs. */
const maxDepth = 16;

/**
 * Parses a body without losing anything. `JSON.parse` silently keeps the last of two equal keys and the nearest
 * double of a number: repeated keys and numbers that a double may not keep are faults here.
 * @returns the value with these faults, or the one fault that makes the body unreadable
 */
export function readExactJson(bytes: Uint8Array): { value: unknown; faults: Fault[] } | { fault: string } {
  let text: string;
  try {
    // Removes a byte order mark, as RFC 8259, section 8.1, allows.
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return { fault: 'The body is not valid UTF-8.' };
  }
  if (text.trim() === '') return { fault: 'The body is empty.' };
  if (isTooDeep(text)) return { fault: `The body has more than ${maxDepth} levels.` };
  try {
    return { value: JSON.parse(text), faults: hiddenFaults(text) };
  } catch (error) {
    const position = /position (\d+)/.exec(String(error))?.[1];
    return { fault: `The body is not valid JSON${position ? ` (at character ${position})` : ''}.` };
  }
}

/** One step of a JSON Pointer. */
export function pointerStep(name: string | number): string {
  return `/${String(name).replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

/** Checked before parsing: `JSON.parse` takes seconds for millions of levels. */
function isTooDeep(text: string): boolean {
  let depth = 0;
  for (let at = 0; at < text.length && depth <= maxDepth; at += 1) {
    const character = text[at]!;
    if (character === '"') at = endOfString(text, at);
    else if ('{['.includes(character)) depth += 1;
    else if ('}]'.includes(character)) depth -= 1;
  }
  return depth > maxDepth;
}

/** The position of the closing quote. */
function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at;
}

/** The repeated keys and inexact numbers in a text that is valid JSON. */
function hiddenFaults(text: string): Fault[] {
  const faults: Fault[] = [];
  /** The objects and arrays around the current position, each with the current key or index. */
  const open: { step: string | number; keys?: Set<string> }[] = [];
  const report = (detail: string) =>
    faults.push({ path: open.map(({ step }) => pointerStep(step)).join(''), detail });
  let isKey = false;
  for (let at = 0; at < text.length; at += 1) {
    const start = at;
    const character = text[at]!;
    const inside = open.at(-1)!;
    if (character === '{' || character === '[') {
      isKey = character === '{';
      open.push(isKey ? { step: '', keys: new Set() } : { step: 0 });
    } else if (character === '}' || character === ']') open.pop();
    else if (character === ',') {
      isKey = inside.keys !== undefined;
      if (typeof inside.step === 'number') inside.step += 1;
    } else if (character === '"') {
      at = endOfString(text, at);
      if (!isKey) continue;
      isKey = false;
      const key = JSON.parse(text.slice(start, at + 1)) as string;
      inside.step = key;
      if (inside.keys!.has(key)) report('is given more than once');
      inside.keys!.add(key);
    } else if (/[-\d]/.test(character)) {
      while (/[-+.eE\d]/.test(text[at + 1] ?? '')) at += 1;
      if (!isExact(text.slice(start, at + 1))) report('has more digits than can be kept exactly');
    }
  }
  return faults;
}

/** Whether a double keeps the value of a JSON number: it keeps 15 significant digits, unless the number is too small. */
function isExact(source: string): boolean {
  const all = source.replace(/e.*$/i, '').replace(/\D/g, '');
  const digits = withoutTrailing(all.replace(/^0+/, ''), '0');
  return digits.length <= 15 && (digits === '' || Number(source) !== 0);
}

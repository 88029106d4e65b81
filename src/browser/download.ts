import { element } from './element.ts';
import type { Cell, Table } from './worker-messages.ts';

/** What a spreadsheet takes for a formula, also behind spaces. */
const formula = /^\s*[=+\-@]|^[\t\r]/;
/** Decimals are texts in the mirror. */
const number = /^[+-]?\d+(?:\.\d+)?$/;

/** A result as CSV (RFC 4180). A text that a spreadsheet would take for a formula begins with an apostrophe. */
export function csvOf({ columns, rows }: Table): string {
  const field = (value: Cell): string => {
    const text = value === null ? '' : String(value);
    const safe = typeof value === 'string' && formula.test(text) && !number.test(text) ? `'${text}` : text;
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  return [columns, ...rows].map((row) => `${row.map(field).join(',')}\r\n`).join('');
}

/** A result as a JSON array of objects. Integers beyond the safe ones are texts. */
export function jsonOf({ columns, rows }: Table): string {
  const objects = rows.map((row) => Object.fromEntries(columns.map((name, n) => [name, row[n]])));
  return JSON.stringify(objects, (_, value) => (typeof value === 'bigint' ? String(value) : value), 1);
}

/** Offers a text as a file. */
export function download(name: string, text: string, type: string): void {
  const address = URL.createObjectURL(new Blob([text], { type }));
  const link = element('a', { href: address, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

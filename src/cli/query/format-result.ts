import type { QueryResult, Value } from '../../mirror/query-result.ts';
import { printable } from '../../safe-text.ts';
import type { Format } from './query-options.ts';

/** Longer values are cut in a table. */
const maxWidth = 60;

/** The result as text, in parts. @param columns the width of the terminal, if it is one */
export function* formatResult(result: QueryResult, format: Format, columns?: number): Generator<string> {
  if (format === 'json') yield* asJson(result);
  else if (format === 'csv') yield* asCsv(result);
  else yield* asTable(result, columns);
}

function* asJson({ columns, rows }: QueryResult): Generator<string> {
  const names = unique(columns).map((name) => JSON.stringify(name));
  yield '[';
  for (const [index, row] of rows.entries()) {
    const members = row.map((value, n) => `${names[n]}:${jsonOf(value)}`);
    yield `${index === 0 ? '' : ','}\n{${members.join(',')}}`;
  }
  yield rows.length === 0 ? ']\n' : '\n]\n';
}

/** JSON has numbers of any length; bytes are base64. */
function jsonOf(value: Value): string {
  if (typeof value === 'bigint') return String(value);
  if (value instanceof Uint8Array) return JSON.stringify(Buffer.from(value).toString('base64'));
  // SQLite has infinities. JSON does not.
  if (typeof value === 'number' && !Number.isFinite(value)) return JSON.stringify(String(value));
  return JSON.stringify(value);
}

/** An object cannot have a name twice: `id`, `id_2`. */
function unique(names: readonly string[]): string[] {
  const used = new Set<string>();
  return names.map((name) => {
    let free = name;
    for (let n = 2; used.has(free); n++) free = `${name}_${n}`;
    used.add(free);
    return free;
  });
}

/** RFC 4180, with the names in the first line. NULL is an empty field, an empty text is `""`. */
function* asCsv({ columns, rows }: QueryResult): Generator<string> {
  yield `${columns.map(csvOf).join(',')}\r\n`;
  for (const row of rows) yield `${row.map(csvOf).join(',')}\r\n`;
}

function csvOf(value: Value): string {
  if (value === null) return '';
  const text = textOf(value);
  return text === '' || /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function textOf(value: Value): string {
  if (value === null) return 'NULL';
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  return String(value);
}

/** Numbers to the right. Control characters are shown as others, and long values are cut. */
function* asTable({ columns, rows }: QueryResult, width = Number.POSITIVE_INFINITY): Generator<string> {
  const cut = (text: string) => (text.length > maxWidth ? `${text.slice(0, maxWidth - 1)}…` : text);
  const cell = (value: Value) => cut(printable(textOf(value)).replaceAll(/\s+/g, ' '));
  const cells = rows.map((row) => row.map(cell));
  const widths = columns.map((name, n) =>
    cells.reduce((width, row) => Math.max(width, row[n]!.length), cell(name).length),
  );
  const isNumber = columns.map((_, n) =>
    rows.every((row) => row[n] === null || typeof row[n] === 'number' || typeof row[n] === 'bigint'),
  );
  const line = (texts: readonly string[]) =>
    `${texts
      .map((text, n) => (isNumber[n] ? text.padStart(widths[n]!) : text.padEnd(widths[n]!)))
      .join('  ')
      .trimEnd()
      .slice(0, width)}\n`;
  yield line(columns.map(cell));
  yield line(widths.map((count) => '-'.repeat(count)));
  for (const row of cells) yield line(row);
}

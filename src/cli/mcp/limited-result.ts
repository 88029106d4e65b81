import type { QueryResult, Value } from '../../mirror/query-result.ts';

/** Longer texts are cut, in characters. */
const maxText = 2_000;
/** An answer has no more rows than fit into so many characters. */
const maxAnswer = 100_000;

/** What an assistant gets of a result: no more than it can read, and a note on what is missing. */
export interface LimitedResult {
  columns: string[];
  rows: (string | number | bigint | null)[][];
  note?: string;
}

export function limitedResult({ columns, rows, isComplete }: QueryResult): LimitedResult {
  const shown: LimitedResult['rows'] = [];
  let length = 0;
  let isCut = false;
  // Also a single row of many columns has to fit.
  const longest = Math.min(maxText, Math.max(20, Math.floor(maxAnswer / (columns.length + 1)) - 4));
  for (const row of rows) {
    const cells = row.map((value) => {
      const cell = shortened(value, longest);
      isCut ||= cell !== value;
      return cell;
    });
    length += cells.reduce<number>((sum, cell) => sum + String(cell).length + 4, 0);
    if (length > maxAnswer && shown.length > 0) break;
    shown.push(cells);
  }
  const notes = [
    ...(!isComplete || shown.length < rows.length ? [`Only the first ${shown.length} rows are shown.`] : []),
    ...(isCut ? ['Long texts are cut.'] : []),
  ];
  return { columns, rows: shown, ...(notes.length > 0 && { note: notes.join(' ') }) };
}

function shortened(value: Value, longest: number): string | number | bigint | null {
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (typeof value === 'string' && value.length > longest) return `${value.slice(0, longest)}…`;
  // JSON has no infinities.
  return typeof value === 'number' && !Number.isFinite(value) ? String(value) : value;
}

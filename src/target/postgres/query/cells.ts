/** A value as JSON has it. Numbers that JavaScript cannot hold exactly are texts. */
export type Cell = string | number | null;

/** Types of PostgreSQL by their numbers (its file pg_type.dat). */
const types = { bytea: 17, bigint: 20, smallint: 21, integer: 23, real: 700, double: 701 };
const numbers = new Set([types.bigint, types.smallint, types.integer, types.real, types.double]);

/** Whether a type has short values, of which a part would be another value. */
export const isNumber = (type: number): boolean => numbers.has(type);

/** A text of PostgreSQL as a value. Bytes are written as SQL has them: `\x00ff`. */
export function cellOf(text: string | null, type: number): Cell {
  if (text === null || !isNumber(type)) return text;
  const number = Number(text);
  const isExact = Number.isFinite(number) && (type !== types.bigint || Number.isSafeInteger(number));
  return isExact ? number : text;
}

/** @param maxText in characters */
export function shortened(cell: Cell, maxText: number): Cell {
  return typeof cell === 'string' && cell.length > maxText ? `${cell.slice(0, maxText)}…` : cell;
}

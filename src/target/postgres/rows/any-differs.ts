import { quoteIdentifier as quote } from '../../../schema/sql.ts';

/** The condition that a column of the one row is not equal to that of the other. NULL equals NULL. */
export function anyDiffers(one: string, other: string, columns: readonly string[]): string {
  if (columns.length === 0) return 'false';
  const terms = columns.map((name) => `${one}.${quote(name)} IS DISTINCT FROM ${other}.${quote(name)}`);
  return `(${terms.join(' OR ')})`;
}

import type { RowKey } from '../../dataverse/read/query.ts';
import { type ExactNumber, exactNumber } from '../../dataverse/write/exact-number.ts';
import { UsageError } from '../client/errors.ts';

/** A key of the table. Texts in columns that are read as texts are numbers. @throws UsageError for a text that is not a number */
export function keyFor(
  { decimals = [] }: { readonly decimals?: readonly string[] | undefined },
  key: RowKey,
): RowKey {
  if (typeof key === 'string' || decimals.length === 0) return key;
  return Object.fromEntries(
    Object.entries(key).map(([name, value]) => [
      name,
      typeof value === 'string' && decimals.includes(name) ? numberOf(name, value) : value,
    ]),
  );
}

/** The number in the text of a column. @throws UsageError for a text that is not a number */
export function numberOf(name: string, text: string): ExactNumber {
  try {
    return exactNumber(text);
  } catch (cause) {
    throw new UsageError(`The value of ${name} is not a number`, {
      hint: 'Write it as JSON does: 1250000.50',
      cause,
    });
  }
}

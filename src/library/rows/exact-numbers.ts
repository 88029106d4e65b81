import type { ExactTexts } from '../../dataverse/exact-texts.ts';
import type { RequestOptions } from '../client/options.ts';
import type { AnyTableDefinition } from '../client/table-definition.ts';
import { numberOf } from './number-texts.ts';
import { type LaterReference, toBody } from './reference.ts';

/**
 * The numbers of a response that become texts.
 * @param options those of the client and the call
 * @param table whose rows are read; undefined for a result without a table
 * @param hasOthers the response has rows of other tables, or values that are not columns
 */
export function exactTextsOf(
  { decimals }: RequestOptions,
  table: AnyTableDefinition | undefined,
  { hasOthers = false } = {},
): ExactTexts | undefined {
  const columns = table?.decimals;
  if (decimals === 'real' || (decimals === undefined && columns === undefined)) return undefined;
  return {
    columns: columns ?? [],
    fractions: decimals === 'text' && (columns === undefined || hasOthers),
    ...(hasOthers && { ofRowsAlone: true }),
  };
}

/** The body of a write. Texts in columns that are read as texts are numbers. @throws UsageError for a text that is not a number */
export function bodyFor(
  { decimals = [] }: AnyTableDefinition,
  values: Readonly<Record<string, unknown>>,
  resolve?: (later: LaterReference) => string,
): Record<string, unknown> {
  const body = toBody(values, resolve);
  for (const name of decimals) {
    const value = body[name];
    if (typeof value === 'string') body[name] = numberOf(name, value);
  }
  return body;
}

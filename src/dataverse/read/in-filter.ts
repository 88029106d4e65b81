import { ConfigurationError } from '../../errors.ts';
import { encodeValue, isGuid, stringLiteral } from './query.ts';
import { splitBySize } from './split-by-size.ts';

/** The longest URL that Dataverse accepts (learn.microsoft.com: "Query data using the Web API"). */
export const maxUrlLength = 32_768;

/** Characters reserved for the paging cookie, which a nextLink adds to the query. */
export const cookieLength = 1_024;

/**
 * `Microsoft.Dynamics.CRM.In(PropertyName='accountid',PropertyValues=["…","…"])`. It counts as one condition,
 * whatever the number of values.
 */
export function inFilter(property: string, values: readonly string[]): string {
  const list = values.map((value) => JSON.stringify(value.toWellFormed())).join(',');
  return `Microsoft.Dynamics.CRM.In(PropertyName=${stringLiteral(property)},PropertyValues=[${list}])`;
}

/** `accountid eq … or accountid eq …`, for tables that reject `inFilter`. GUIDs are literals without quotes. */
export function equalFilter(property: string, values: readonly string[]): string {
  return values
    .map((value) => `${property} eq ${isGuid(value) ? value : stringLiteral(value.toWellFormed())}`)
    .join(' or ');
}

/**
 * Splits values into batches for `inFilter`, each as large as fits into a URL, and removes duplicates.
 * @param otherLength length of the URL without the values, in characters
 * @throws ConfigurationError if a single value does not fit
 */
export function splitValues(values: readonly string[], otherLength: number): string[][] {
  const maxLength = maxUrlLength - cookieLength - otherLength;
  const unique = [...new Set(values)];
  const sizes = unique.map((value) => encodeValue(`${JSON.stringify(value.toWellFormed())},`).length);
  if (sizes.some((size) => size > maxLength)) {
    const operation = 'split values into filters';
    throw new ConfigurationError('A value is too long for a filter', { operation });
  }
  return splitBySize(sizes, maxLength).map(([start, end]) => unique.slice(start, end));
}

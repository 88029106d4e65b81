import { ConfigurationError } from '../../errors.ts';
import { cutToSize } from './cut-to-size.ts';
import { encodeValue, stringLiteral } from './query.ts';

/** The longest URL that Dataverse takes (learn.microsoft.com: "Query data using the Web API"). */
export const maxUrlLength = 32_768;

/** Room for the paging cookie: a nextLink repeats the whole query and adds to it. */
const cookieRoom = 1_024;

/** `Microsoft.Dynamics.CRM.In(PropertyName='accountid',PropertyValues=["…","…"])`: any number of values is one condition. */
export function inFilter(property: string, values: readonly string[]): string {
  const list = values.map((value) => JSON.stringify(value.toWellFormed())).join(',');
  return `Microsoft.Dynamics.CRM.In(PropertyName=${stringLiteral(property)},PropertyValues=[${list}])`;
}

/**
 * Cuts values into batches, each as large as fits into a URL.
 * @param otherLength length of the URL without the filter's values, in characters
 * @throws ConfigurationError where a single value does not fit
 */
export function packValues(values: readonly string[], otherLength: number): string[][] {
  const room = maxUrlLength - cookieRoom - otherLength;
  const unique = [...new Set(values)];
  const sizes = unique.map((value) => encodeValue(`${JSON.stringify(value.toWellFormed())},`).length);
  if (sizes.some((size) => size > room)) {
    const operation = 'pack values into filters';
    throw new ConfigurationError('A value is too long for a filter', { operation });
  }
  return cutToSize(sizes, room).map(([start, end]) => unique.slice(start, end));
}

import { guidOrderKey, isGuid } from '../rows/guid.ts';
import { isLookup, type Value } from '../rows/values.ts';

/** A value in a form that compares as in SQL Server. */
export type Comparable = string | number | bigint | null;

/** A column's value in comparable form. Text is not case-sensitive. */
export function comparable(type: string, value: Value | undefined): Comparable {
  if (value === null || value === undefined) return null;
  if (isLookup(value)) return guidOrderKey(value.id);
  if (typeof value === 'object') return JSON.stringify(value.json);
  switch (type) {
    case 'Edm.Guid':
      return guidOrderKey(String(value));
    case 'Edm.Int64':
    case 'Edm.Decimal':
      return scaled(String(value));
    case 'Edm.DateTimeOffset':
      return Date.parse(String(value));
    case 'Edm.Boolean':
      return value === true || value === 'true' || value === '1' ? 1 : 0;
    case 'Edm.Int32':
    case 'Edm.Int16':
    case 'Edm.Byte':
    case 'Edm.Double':
    case 'Edm.Single':
      return Number(value);
    default:
      return String(value).toLowerCase();
  }
}

/** A literal in the form of a column's type, or undefined if it does not fit the type. */
export function comparableLiteral(type: string, text: string): Comparable | undefined {
  switch (type) {
    case 'Edm.Guid': {
      const bare = text.replace(/^\{|\}$/g, '');
      return isGuid(bare) ? guidOrderKey(bare) : undefined;
    }
    case 'Edm.Int64':
    case 'Edm.Decimal':
      return /^[+-]?\d+(\.\d+)?$/.test(text) ? scaled(text) : undefined;
    case 'Edm.DateTimeOffset': {
      // A plus sign arrives as a space if the client does not escape it.
      const moment = Date.parse(text.replace(/ (\d\d:\d\d)$/, '+$1'));
      return Number.isNaN(moment) ? undefined : moment;
    }
    case 'Edm.Boolean':
      return /^(true|false|0|1)$/.test(text) ? (text === 'true' || text === '1' ? 1 : 0) : undefined;
    case 'Edm.Int32':
    case 'Edm.Int16':
    case 'Edm.Byte':
    case 'Edm.Double':
    case 'Edm.Single':
      return Number.isNaN(Number(text)) ? undefined : Number(text);
    default:
      return text.toLowerCase();
  }
}

const decimals = 18;

/** A decimal in units of 10^-18. Exact, unlike a double. */
function scaled(text: string): bigint {
  const [whole = '0', fraction = ''] = text.split('.');
  const sign = whole.startsWith('-') ? -1n : 1n;
  const digits = whole.replace(/^[+-]/, '') + fraction.slice(0, decimals).padEnd(decimals, '0');
  return sign * BigInt(digits);
}

import { guidOrderKey, isGuid } from '../rows/guid.ts';
import { isLookup, type Value } from '../rows/values.ts';

/** A value in a form that orders and compares as SQL Server would. */
export type Comparable = string | number | bigint | null;

/** The value of a column of the Edm type, or null. Text compares without regard to case. */
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

/** A literal as a column of the type compares to it, or undefined where it cannot be one. */
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
      // A plus sign that was not escaped arrives as a space.
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

/** A decimal text as a whole number of 10^-18: exact, where a double is not. */
function scaled(text: string): bigint {
  const [whole = '0', fraction = ''] = text.split('.');
  const sign = whole.startsWith('-') ? -1n : 1n;
  const digits = whole.replace(/^[+-]/, '') + fraction.slice(0, decimals).padEnd(decimals, '0');
  return sign * BigInt(digits);
}

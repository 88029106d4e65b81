import type { Column } from '../schema/table.ts';
import type { RowValue } from '../target/changes.ts';

/** The types of columns in Parquet, as Fabric's mirroring reads them. */
export type ParquetType =
  | 'boolean'
  | 'int32'
  | 'int64'
  | 'double'
  | 'decimal'
  | 'date'
  | 'timestamp'
  | 'string'
  | 'binary';

/** A value in Parquet: decimals are scaled, dates are days and instants microseconds since 1970. */
export type ParquetValue = string | number | bigint | boolean | Uint8Array | null;

/**
 * Of every decimal. Decimals of Dataverse have at most 12 digits before and 10 after the point, amounts of money 15 and 10,
 * exchange rates 12 after it (learn.microsoft.com: Types of columns). 38 digits are the most that Delta tables and SQL have.
 */
export const decimals = { precision: 38, scale: 12 } as const;

/** The type of a column. It depends on Dataverse's type and on how the mirror stores it, so both targets have the same. */
export function parquetTypeOf({ edmType, reading }: Pick<Column, 'edmType' | 'reading'>): ParquetType {
  switch (reading) {
    case 'boolean':
      return 'boolean';
    case 'integer':
      return edmType === 'Edm.Int64' || !edmType.startsWith('Edm.') ? 'int64' : 'int32';
    case 'real':
      return 'double';
    case 'decimal':
      return 'decimal';
    case 'base64':
      return 'binary';
    case 'text':
      return edmType === 'Edm.Date' ? 'date' : edmType === 'Edm.DateTimeOffset' ? 'timestamp' : 'string';
    // Delta tables have no type for ids.
    case 'guid':
    case 'json':
      return 'string';
  }
}

const conversions: Record<ParquetType, (value: Exclude<RowValue, null>) => ParquetValue> = {
  boolean: (value) => {
    const text = String(value);
    return text === '1' || text === 't' ? true : text === '0' || text === 'f' ? false : null;
  },
  int32: (value) => {
    const integer = integerOf(value, 31n);
    return integer === null ? null : Number(integer);
  },
  int64: (value) => integerOf(value, 63n),
  double: (value) => {
    if (typeof value === 'number') return value;
    const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : Number.NaN;
    return Number.isNaN(number) ? null : number;
  },
  decimal: (value) => (value instanceof Uint8Array ? null : scaled(String(value))),
  date: (value) => daysOf(value),
  timestamp: (value) => microsecondsOf(value),
  string: (value) => (value instanceof Uint8Array ? null : String(value)),
  binary: (value) => {
    if (value instanceof Uint8Array) return value;
    return typeof value === 'string' && value.startsWith('\\x') ? Buffer.from(value.slice(2), 'hex') : null;
  },
};

/** A value of the mirror in Parquet; undefined if Parquet cannot have it in this type. */
export function toParquet(type: ParquetType, value: RowValue): ParquetValue | undefined {
  if (value === null) return null;
  return conversions[type](value) ?? undefined;
}

function integerOf(value: Exclude<RowValue, null>, bits: bigint): bigint | null {
  const text = String(value);
  if (value instanceof Uint8Array || !/^-?\d{1,19}$/.test(text)) return null;
  const integer = BigInt(text);
  return integer >= -(2n ** bits) && integer < 2n ** bits ? integer : null;
}

/** The number times 10^scale. Null if it has more digits than the type: nothing is rounded. */
function scaled(text: string): bigint | null {
  const [, sign, whole = '', fraction = '', exponent = '0'] =
    /^([+-]?)(\d{1,400})(?:\.(\d{1,400}))?(?:[eE]([+-]?\d{1,3}))?$/.exec(text) ?? [];
  if (sign === undefined) return null;
  const shift = decimals.scale + Number(exponent) - fraction.length;
  if (shift > 1000 || shift < -1000) return null;
  let digits = BigInt(whole + fraction);
  if (shift >= 0) digits *= 10n ** BigInt(shift);
  else {
    const divisor = 10n ** BigInt(-shift);
    if (digits % divisor !== 0n) return null;
    digits /= divisor;
  }
  if (digits >= 10n ** BigInt(decimals.precision)) return null;
  return sign === '-' ? -digits : digits;
}

const day = 86_400_000;

function daysOf(value: Exclude<RowValue, null>): number | null {
  if (typeof value !== 'string' || !/^\d{4}-\d\d-\d\d$/.test(value)) return null;
  const time = Date.parse(`${value}T00:00:00Z`);
  // Date.parse takes the 30th of February for the 2nd of March.
  return Number.isNaN(time) || new Date(time).toISOString().slice(0, 10) !== value ? null : time / day;
}

const instant = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d(?::?\d\d)?)$/;

/** A microsecond is the smallest part that Parquet's readers share. What is more exact is cut. */
function microsecondsOf(value: Exclude<RowValue, null>): bigint | null {
  if (typeof value !== 'string') return null;
  const [, date, time, fraction = '', zone = ''] = instant.exec(value) ?? [];
  if (date === undefined || daysOf(date) === null) return null;
  const offset =
    zone === 'Z' ? 'Z' : zone.length === 3 ? `${zone}:00` : zone.replace(/^(...)(\d\d)$/, '$1:$2');
  const milliseconds = Date.parse(`${date}T${time}${offset}`);
  if (Number.isNaN(milliseconds)) return null;
  return BigInt(milliseconds) * 1000n + BigInt(fraction.slice(0, 6).padEnd(6, '0'));
}

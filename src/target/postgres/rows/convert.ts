import type { PostgresType } from '../schema/column-types.ts';

/** A value as SQLite has it in a shard. */
export type ShardValue = string | number | Uint8Array | null;

/** What was done to a value that PostgreSQL cannot store: characters left out, or NULL in its place. */
export type Repair = 'characters' | 'value';

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const integer = /^[+-]?\d{1,40}$/;
const decimal = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d{1,6})?$/i;
const day = /^(\d{4})-(\d\d)-(\d\d)$/;
const instant =
  /^(\d{4}-\d\d-\d\d)T((?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d)?)(\.\d+)?(Z|[+-](?:0\d|1[0-4]):[0-5]\d)$/;

const integerBits: Partial<Record<PostgresType, bigint>> = { smallint: 15n, integer: 31n, bigint: 63n };

/**
 * The text of a value for `COPY`, before escapes. Null is NULL.
 * @param onRepair is told of a value that cannot be stored as it is
 */
export function convert(
  value: ShardValue,
  type: PostgresType,
  onRepair: (repair: Repair) => void,
): string | null {
  if (value === null) return null;
  const text = convertPresent(value, type, onRepair);
  if (text === undefined) onRepair('value');
  return text ?? null;
}

function convertPresent(
  value: string | number | Uint8Array,
  type: PostgresType,
  onRepair: (repair: Repair) => void,
): string | undefined {
  if (type === 'bytea')
    return value instanceof Uint8Array ? `\\x${Buffer.from(value).toString('hex')}` : undefined;
  if (value instanceof Uint8Array) return undefined;
  // No text of PostgreSQL has the character 0.
  const text = typeof value === 'string' ? value.replaceAll('\0', '') : String(value);
  if (typeof value === 'string' && text !== value) onRepair('characters');
  switch (type) {
    case 'text':
      return text;
    case 'uuid':
      return uuid.test(text) ? text : undefined;
    case 'boolean':
      return text === '1' ? 't' : text === '0' ? 'f' : undefined;
    case 'smallint':
    case 'integer':
    case 'bigint':
      return integer.test(text) && isWithin(BigInt(text), integerBits[type]!) ? text : undefined;
    case 'numeric':
      return isNumeric(text) ? text : undefined;
    case 'double precision':
      // Also `Infinity` and `NaN`, which SQLite computes.
      return typeof value === 'number' || (decimal.test(text) && Number.isFinite(Number(text)))
        ? text
        : undefined;
    case 'date':
      return isDay(text) ? text : undefined;
    case 'timestamp with time zone':
      return instantText(text);
    case 'jsonb':
      return jsonText(text, onRepair);
  }
}

function isWithin(value: bigint, bits: bigint): boolean {
  return value >= -(2n ** bits) && value < 2n ** bits;
}

/** The most digits of a number before and after its point (postgresql.org: Numeric Types). */
const maxIntegerDigits = 131_072;
const maxFractionDigits = 16_383;

function isNumeric(text: string): boolean {
  if (!decimal.test(text)) return false;
  const [mantissa = '', exponent = '0'] = text.toLowerCase().replace(/^[+-]/, '').split('e');
  const [whole = '', fraction = ''] = mantissa.split('.');
  return (
    whole.length + Math.max(Number(exponent), 0) <= maxIntegerDigits &&
    fraction.length + Math.max(-Number(exponent), 0) <= maxFractionDigits
  );
}

/** A day of the calendar, in a year that PostgreSQL has: there is no year 0. */
function isDay(text: string): boolean {
  const [, year, month, date] = day.exec(text) ?? [];
  if (year === undefined || year === '0000') return false;
  const days = new Date(Date.UTC(2000 + (Number(year) % 400), Number(month), 0)).getUTCDate();
  return Number(month) >= 1 && Number(month) <= 12 && Number(date) >= 1 && Number(date) <= days;
}

/** Microseconds are the smallest part of a second that PostgreSQL has. It would round up what is more exact. */
function instantText(text: string): string | undefined {
  const [, date, time, fraction = '', zone] = instant.exec(text) ?? [];
  if (date === undefined || !isDay(date)) return undefined;
  return `${date}T${time}${fraction.slice(0, 7)}${zone}`;
}

/** JSON that `jsonb` takes: without the character 0, and without halves of surrogate pairs. */
function jsonText(text: string, onRepair: (repair: Repair) => void): string | undefined {
  let isRepaired = false;
  const repaired = text.includes('\\u')
    ? text.replaceAll(
        /\\u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}|\\u[\da-fA-F]{4}|\\./g,
        (sequence) => {
          const isNul = sequence === '\\u0000';
          const isHalf = sequence.length === 6 && /^\\u[dD][89a-fA-F]/.test(sequence);
          if (!isNul && !isHalf) return sequence;
          isRepaired = true;
          return isNul ? '' : '\\ufffd';
        },
      )
    : text;
  try {
    JSON.parse(repaired);
  } catch {
    return undefined;
  }
  if (!canBeJsonb(repaired)) return undefined;
  if (isRepaired) onRepair('characters');
  return repaired;
}

/** PostgreSQL reads JSON with a stack of 2 MB or more, which is some thousand levels. */
const maxLevels = 1_000;
/** The most bytes of a text in `jsonb`, and nearly that of an array or object (postgresql.org: JEntry). */
const maxJsonLength = 0x0fff_ffff;

/** Whether numbers and levels of valid JSON are such that `jsonb` takes. */
function canBeJsonb(json: string): boolean {
  if (json.length > maxJsonLength) return false;
  let level = 0;
  const number = /[\d.eE+-]+/y;
  for (let place = 0; place < json.length; place++) {
    const character = json[place]!;
    if (character === '"') place = endOfText(json, place);
    else if (character === '[' || character === '{') level += 1;
    else if (character === ']' || character === '}') level -= 1;
    else if (character === '-' || (character >= '0' && character <= '9')) {
      number.lastIndex = place;
      const [text] = number.exec(json)!;
      if (!isNumeric(text)) return false;
      place += text.length - 1;
    }
    if (level > maxLevels) return false;
  }
  return true;
}

/** Not by a regular expression, which needs a stack for each escape. @returns the place of the closing quote */
function endOfText(json: string, start: number): number {
  let place = start + 1;
  while (json[place] !== '"') place += json[place] === '\\' ? 2 : 1;
  return place;
}

const escapes: Record<string, string> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** A value of `COPY` in its text format (postgresql.org: COPY). */
export function copyField(text: string | null): string {
  if (text === null) return '\\N';
  return /[\\\n\r\t]/.test(text) ? text.replaceAll(/[\\\n\r\t]/g, (character) => escapes[character]!) : text;
}

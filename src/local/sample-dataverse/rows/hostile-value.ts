import type { Column } from '../metadata/model.ts';
import type { Random } from './random.ts';
import { dateTimeText, type Value } from './values.ts';

const words = ['amber', 'basin', 'copper', 'delta', 'ember', 'fjord', 'granite', 'harbour', 'island', 'jade'];
/** Text that breaks careless writers and readers. */
const hostileTexts = [
  'He said "no" and left\r\nfor good\t!',
  'C:\\temp\\new',
  '👩‍👩‍👧 family, 🏳️‍🌈 and 🇩🇰',
  'שלום — سلام',
  "Robert'); DROP TABLE accounts;--",
  '\u0001\u001f control, \u2028 line, \u007f del',
  '100% _[a-z]',
  '{"value":[{"@odata.nextLink":"no"}]}',
  ' leading and trailing ',
  '0012',
  'Łukasz Ćosić, Олена, 山田 美咲, O’Brian',
];

/**
 * A value of the column's type that a reader may get wrong: null, escapes, the greatest and least numbers,
 * 64-bit integers beyond a double's precision, dates far from today.
 */
export function hostileValue(column: Column, random: Random): Value {
  if (random.chance(0.12)) return null;
  if (column.choice !== undefined && column.choice.kind !== 'boolean') return choiceValue(column, random);
  if (column.type.startsWith('Collection(')) return collectionValue(column, random);
  switch (column.type) {
    case 'Edm.String':
      return cut(textValue(column, random), column.maxLength ?? 100);
    case 'Edm.Guid':
      return column.file || !random.chance(0.5) ? null : random.guid();
    case 'Edm.Boolean':
      return random.chance(0.4);
    case 'Edm.Int16':
      return random.below(65_536) - 32_768;
    case 'Edm.Byte':
      return random.below(256);
    case 'Edm.Int32':
      return random.chance(0.1) ? 2_147_483_647 : random.below(1_000_000) - 1000;
    case 'Edm.Int64':
      return (BigInt(random.uint32()) << 31n) + BigInt(random.uint32()) * (random.chance(0.2) ? -1n : 1n);
    case 'Edm.Decimal':
      return decimalValue(random, column.precision ?? 20, column.scale ?? 4);
    case 'Edm.Double':
    case 'Edm.Single':
      return random.pick([1e-7, 1e21, 0.1, -0, 12.5, random.fraction() * 360 - 180, random.below(1000)]);
    case 'Edm.Date':
      return new Date(Date.UTC(1900 + random.below(150), random.below(12), 1 + random.below(28)))
        .toISOString()
        .slice(0, 10);
    case 'Edm.DateTimeOffset':
      return dateTimeText(
        new Date(Date.UTC(1990 + random.below(40), random.below(12), 1, 0, 0, random.below(86_400))),
      );
    case 'Edm.TimeOfDay':
      return new Date(1000 * random.below(86_400)).toISOString().slice(11, 19);
    case 'Edm.Duration':
      return `PT${random.below(24)}H${random.below(60)}M`;
    case 'Edm.Binary':
      return Buffer.from(Array.from({ length: 1 + random.below(48) }, () => random.below(256))).toString(
        'base64',
      );
    case 'mscrm.BooleanManagedProperty':
      return {
        json: {
          Value: random.chance(0.5),
          CanBeChanged: random.chance(0.5),
          ManagedPropertyLogicalName: column.name,
        },
      };
    default:
      return null;
  }
}

function choiceValue(column: Column, random: Random): Value {
  const { kind, options } = column.choice!;
  if (kind !== 'multichoice') return random.pick(options).value;
  const chosen = options.filter(() => random.chance(0.5)).map((option) => option.value);
  return chosen.length === 0 ? null : chosen.join(',');
}

function collectionValue(column: Column, random: Random): Value {
  const inner = column.type.slice('Collection('.length, -1);
  const items = Array.from({ length: random.below(4) }, () => {
    if (inner === 'Edm.Int32') return random.below(100);
    if (inner === 'Edm.Guid') return random.guid();
    return `tag “${random.below(20)}”, \\ and ${random.below(9)}`;
  });
  return { json: items };
}

function decimalValue(random: Random, precision: number, scale: number): string {
  const whole = random.chance(0.2) ? 5_000_000 : random.below(100_000);
  const digits = random.chance(0.3) ? '' : random.digits(Math.min(scale, 2));
  const limit = precision - scale;
  const kept = limit < 7 ? whole % 10 ** limit : whole;
  const sign = kept > 0 && random.chance(0.1) ? '-' : '';
  return scale === 0 ? `${sign}${kept}` : `${sign}${kept}.${digits.padEnd(scale, '0')}`;
}

function textValue(column: Column, random: Random): string {
  const limit = column.maxLength ?? 100;
  if (random.chance(0.25)) return random.pick(hostileTexts);
  if (limit > 10_000 && random.chance(0.04))
    return `${random.pick(hostileTexts)} ${random.pick(words)}\n`.repeat(120);
  let text = random.pick(words);
  for (let more = random.below(limit > 1000 ? 30 : 4); more > 0; more--) text += ` ${random.pick(words)}`;
  return text;
}

/** At most `limit` UTF-16 units, never half a surrogate pair. */
export function cut(text: string, limit: number): string {
  return text.length <= limit ? text : text.slice(0, limit).replace(/[\ud800-\udbff]$/, '');
}

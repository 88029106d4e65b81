import type { Column } from '../metadata/model.ts';
import type { Random } from './random.ts';
import { textFor } from './text.ts';
import { dateTimeText, type Value } from './values.ts';

/** A value of the column's type, now and then null. */
export function generatedValue(column: Column, random: Random, index: number): Value {
  if (random.chance(0.12) && column.choice?.kind !== 'status' && column.choice?.kind !== 'state') return null;
  if (column.choice !== undefined && column.choice.kind !== 'boolean') return choiceValue(column, random);
  if (column.type.startsWith('Collection(')) return collectionValue(column, random);
  switch (column.type) {
    case 'Edm.String':
      return textFor(column, random, index);
    case 'Edm.Guid':
      return column.file || !random.chance(0.5) ? null : random.guid();
    case 'Edm.Boolean':
      return random.chance(0.4);
    case 'Edm.Int16':
      return random.below(65_536) - 32_768;
    case 'Edm.Byte':
      return random.below(256);
    case 'Edm.Int32':
      return random.chance(0.05) ? 2_147_483_647 : random.below(1_000_000) - 1000;
    case 'Edm.Int64':
      // Beyond 2^53 more often than not: a reader that goes through doubles is found out.
      return (BigInt(random.uint32()) << 31n) + BigInt(random.uint32()) * (random.chance(0.2) ? -1n : 1n);
    case 'Edm.Decimal':
      return decimalText(random, column.precision ?? 20, column.scale ?? 4);
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
    default:
      return complexValue(column, random);
  }
}

function choiceValue(column: Column, random: Random): Value {
  const { kind, options } = column.choice!;
  if (kind !== 'multichoice') return random.pick(options).value;
  const chosen = options.filter(() => random.chance(0.5)).map((option) => option.value);
  return chosen.length === 0 ? null : chosen.join(',');
}

function collectionValue(column: Column, random: Random): Value {
  const length = random.below(4);
  const inner = column.type.slice('Collection('.length, -1);
  const items = Array.from({ length }, () => {
    if (inner === 'Edm.Int32') return random.below(100);
    if (inner === 'Edm.Guid') return random.guid();
    return `tag “${random.below(20)}”, \\ and ${random.below(9)}`;
  });
  return { json: items };
}

function complexValue(column: Column, random: Random): Value {
  if (column.type === 'mscrm.BooleanManagedProperty') {
    return {
      json: {
        Value: random.chance(0.5),
        CanBeChanged: random.chance(0.5),
        ManagedPropertyLogicalName: column.name,
      },
    };
  }
  return null;
}

function decimalText(random: Random, precision: number, scale: number): string {
  const whole = random.chance(0.2) ? 5_000_000 : random.below(100_000);
  const digits = random.chance(0.3) ? '' : random.digits(Math.min(scale, 2));
  const limit = precision - scale;
  const kept = limit < 7 ? whole % 10 ** limit : whole;
  const sign = kept > 0 && random.chance(0.1) ? '-' : '';
  return scale === 0 ? `${sign}${kept}` : `${sign}${kept}.${digits.padEnd(scale, '0')}`;
}

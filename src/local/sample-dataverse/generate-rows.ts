import { guidOrderKey } from './guid.ts';
import { type Column, columnIndex, type Model, type Table } from './model.ts';
import { Random } from './random.ts';
import { textFor } from './text.ts';
import { dateTimeText, type Lookup, type Row, type Value } from './values.ts';

/** How many rows each table starts with, and where its versions begin. */
export interface RowPlan {
  seed: number;
  /** Rows by logical name; a table that is absent has none. */
  counts: ReadonlyMap<string, number>;
  firstVersions: ReadonlyMap<string, bigint>;
  /** Whether any table may be asked for: then only those that were are looked through when a row is deleted. */
  lazy: boolean;
  /** The width a row's JSON should have at least, in bytes. */
  rowBytes: number | undefined;
  /** The latest moment that a generated row may carry. */
  now: Date;
}

/** The id of a generated row, without making the row: lookups point at rows that may not exist in memory yet. */
export function generatedId(plan: RowPlan, table: string, index: number): string {
  const known = ids.get(plan) ?? new Map<string, string[]>();
  ids.set(plan, known);
  let list = known.get(table);
  if (list === undefined) {
    const random = new Random(plan.seed, table);
    list = Array.from({ length: plan.counts.get(table) ?? 0 }, () => random.guid());
    known.set(table, list);
  }
  return list[index]!;
}

const ids = new WeakMap<RowPlan, Map<string, string[]>>();

/** The rows that a table starts with. The same plan gives the same rows, in whatever order tables are asked for. */
export function generateRows(model: Model, table: Table, plan: RowPlan): Row[] {
  const count = plan.counts.get(table.logicalName) ?? 0;
  const first = plan.firstVersions.get(table.logicalName) ?? 1n;
  const make = rowMaker(model, table, plan);
  const rows: Row[] = [];
  for (let index = 0; index < count; index++) rows.push(make(index, first + BigInt(index)));
  return rows;
}

function rowMaker(model: Model, table: Table, plan: RowPlan): (index: number, version: bigint) => Row {
  const count = (name: string): number => plan.counts.get(name) ?? 0;
  const lookups = table.columns.map((column) => lookupMaker(model, column, plan));
  const filler = plan.rowBytes === undefined ? undefined : fillText(table, plan.rowBytes);
  const makeEnds = table.intersect === undefined ? undefined : endsMaker(table, plan, count);
  return (index, version) => {
    const id = generatedId(plan, table.logicalName, index);
    const random = new Random(plan.seed, `${table.logicalName}/values`, index);
    const created = new Date(plan.now.getTime() - 1000 * (1 + random.below(3 * 365 * 86_400)));
    // Several rows share a second, as after an import.
    const modified = new Date(
      Math.min(plan.now.getTime(), created.getTime() + 60_000 * random.below(500_000)),
    );
    const values = table.columns.map((column, position): Value => {
      if (column.name === table.primaryId || column.name === table.key) return id;
      if (column.name === 'versionnumber') return version;
      if (column.name === 'createdon') return dateTimeText(created);
      if (column.name === 'modifiedon') return dateTimeText(modified);
      if (column.name === 'activitytypecode') return table.logicalName;
      if (table.logicalName === 'organization') {
        if (column.name === 'languagecode') return 1033;
        if (column.name === 'expirechangetrackingindays') return 7;
      }
      const makeLookup = lookups[position];
      // An empty lookup is empty: a GUID that is no row's would be a reference to nowhere.
      return makeLookup === undefined ? generatedValue(column, random, index) : makeLookup(random);
    });
    if (makeEnds !== undefined) makeEnds(values, index);
    agreeOwner(table, values);
    agreeState(table, values);
    filler?.(values, random);
    return { id, order: guidOrderKey(id), version, values };
  };
}

/** Lookups point to rows that exist; about one in six is empty, and all are where the target has no rows. */
function lookupMaker(
  model: Model,
  column: Column,
  plan: RowPlan,
): ((random: Random) => Lookup | null) | undefined {
  if (column.targets === undefined) return undefined;
  const targets = column.targets
    .flatMap((target) => {
      const table = model.tables.get(target.table);
      return table === undefined ? [] : model.family(table);
    })
    .map((table) => ({ table: table.logicalName, rows: plan.counts.get(table.logicalName) ?? 0 }))
    .filter((target) => target.rows > 0);
  return (random) => {
    if (targets.length === 0 || (column.logicalName !== 'ownerid' && random.chance(0.16))) return null;
    const { table, rows } = random.pick(targets);
    return { id: generatedId(plan, table, random.below(rows)), table };
  };
}

/** An owner is a user or a team, and the column of that kind says the same. */
function agreeOwner(table: Table, values: Value[]): void {
  const owner = values[columnIndex(table, '_ownerid_value')] as Lookup | null | undefined;
  if (owner === undefined) return;
  for (const kind of ['systemuser', 'team']) {
    const position = columnIndex(table, kind === 'team' ? '_owningteam_value' : '_owninguser_value');
    if (position >= 0) values[position] = owner?.table === kind ? { ...owner } : null;
  }
}

/** A status reason belongs to its state. */
export function agreeState(table: Table, values: Value[]): void {
  const status = columnIndex(table, 'statuscode');
  const state = columnIndex(table, 'statecode');
  if (status < 0 || state < 0) return;
  const option = table.columns[status]!.choice?.options.find((choice) => choice.value === values[status]);
  if (option?.state !== undefined) values[state] = option.state;
}

/** Distinct pairs of the two ends of an N:N table. */
function endsMaker(
  table: Table,
  plan: RowPlan,
  count: (name: string) => number,
): (values: Value[], index: number) => void {
  const [one, two] = table.intersect!.ends;
  const ones = Math.max(1, count(one.table));
  const twos = Math.max(1, count(two.table));
  return (values, index) => {
    const first = index % ones;
    const second = (Math.floor(index / ones) + first * 7) % twos;
    values[columnIndex(table, one.column)] = generatedId(plan, one.table, first);
    values[columnIndex(table, two.column)] = generatedId(plan, two.table, second);
  };
}

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

/** Widens the text columns evenly until a row has the asked-for size; memo columns take what others cannot. */
function fillText(table: Table, rowBytes: number): ((values: Value[], random: Random) => void) | undefined {
  const names = table.columns.reduce((sum, column) => sum + column.name.length + 12, 60);
  const texts = table.columns
    .flatMap((column, position) => {
      const taken =
        column.type !== 'Edm.String' ||
        column.choice !== undefined ||
        column.name === 'activitytypecode' ||
        column.name === table.primaryName ||
        table.alternateKeys.some((key) => key.columns.includes(column.name));
      return taken ? [] : [{ position, limit: column.maxLength ?? Number.POSITIVE_INFINITY }];
    })
    .sort((a, b) => a.limit - b.limit);
  let left = rowBytes - names;
  const lengths = texts.map(({ position, limit }, index) => {
    const length = Math.max(0, Math.min(limit, Math.ceil(left / (texts.length - index))));
    left -= length;
    return { position, length };
  });
  if (texts.length === 0 || rowBytes <= names) return undefined;
  const prose = fillerProse(proseStarts + Math.max(...lengths.map(({ length }) => length)));
  return (values, random) => {
    for (const { position, length } of lengths) {
      const start = random.below(proseStarts);
      values[position] = prose.slice(start, start + length);
    }
  };
}

const proseStarts = 65_536;

/** Words that compress about as well as people's notes do. Rows share it, as slices of one string. */
function fillerProse(length: number): string {
  const random = new Random(5, 'prose');
  const words = Array.from({ length: 2000 }, () =>
    random
      .uint32()
      .toString(36)
      .slice(0, 2 + random.below(6)),
  );
  let prose = '';
  while (prose.length < length) prose += `${random.pick(words)} `;
  // One flat string: slices of a rope would each make their own copy of it.
  return Buffer.from(prose).toString('latin1');
}

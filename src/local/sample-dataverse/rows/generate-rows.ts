import { type Column, columnIndex, type Model, type Table } from '../metadata/model.ts';
import { fillText } from './fill-text.ts';
import { guidOrderKey } from './guid.ts';
import { cut, hostileValue } from './hostile-value.ts';
import { lastChange, someMoment } from './moments.ts';
import { Random } from './random.ts';
import type { GeneratedValues, RowPlan } from './row-plan.ts';
import { splitOwner } from './split-owner.ts';
import { type MakeValue, RowSubject, valueMaker } from './value-maker.ts';
import { dateTimeText, type Lookup, type Row, type Value } from './values.ts';

/** The share of hostile values, if the plan has them. */
const hostileShare = 0.4;

/** Makes the rows that a table starts with. The same plan gives the same rows, in any order of the tables. */
export function generateRows(model: Model, table: Table, plan: RowPlan): Row[] {
  const first = plan.options.firstVersions.get(table.logicalName) ?? 1n;
  const makeValues = valuesMaker(model, table, plan);
  return Array.from({ length: plan.count(table.logicalName) }, (_, index) => {
    const id = plan.id(table.logicalName, index);
    const version = first + BigInt(index);
    return { id, order: guidOrderKey(id), version, values: makeValues(index, id, version) };
  });
}

function valuesMaker(
  model: Model,
  table: Table,
  plan: RowPlan,
): (index: number, id: string, version: bigint) => Value[] {
  const { seed, rowBytes, generators } = plan.options;
  const now = plan.options.now.getTime();
  const generate = generators.get(table.logicalName)?.(plan);
  const fields = table.columns.map((column) => fieldOf(model, table, column, plan));
  const fillUp = rowBytes === undefined ? undefined : fillText(table, rowBytes);
  const stream = `${table.logicalName}/values`;
  const setEnds = table.intersect === undefined ? undefined : endsSetter(table, plan);
  return (index, id, version) => {
    const random = new Random(seed, stream, index);
    const own: GeneratedValues = generate?.(index, random) ?? {};
    const created = typeof own['createdon'] === 'number' ? own['createdon'] : someMoment(now, random);
    const modified =
      typeof own['modifiedon'] === 'number' ? own['modifiedon'] : lastChange(created, now, random);
    const row = new RowSubject(random, index, created, modified);
    const values = fields.map(({ column, make, makeHostile }) => {
      if (column.name === table.primaryId || column.name === table.key) return id;
      if (column.name === 'versionnumber') return version;
      if (column.name === 'activitytypecode') return table.logicalName;
      if (column.name === 'createdon') return columnValue(column, created);
      if (column.name === 'modifiedon') return columnValue(column, modified);
      if (makeHostile !== undefined && random.chance(hostileShare)) return makeHostile(random);
      const given = own[column.name];
      return columnValue(column, given === undefined ? make(row) : given);
    });
    setEnds?.(values, index);
    splitOwner(table, values);
    agreeState(table, values);
    fillUp?.(values, random);
    return values;
  };
}

interface Field {
  column: Column;
  make: MakeValue;
  /** Absent if the plan has no hostile values, or if one would break a key or a state. */
  makeHostile: ((random: Random) => Value) | undefined;
}

function fieldOf(model: Model, table: Table, column: Column, plan: RowPlan): Field {
  const pick = column.targets === undefined ? undefined : lookupPicker(model, column, plan);
  const isKept =
    column.choice?.kind === 'state' ||
    column.choice?.kind === 'status' ||
    table.logicalName === 'organization' ||
    table.alternateKeys.some((key) => key.columns.includes(column.name));
  const makeHostile = pick ?? ((random: Random) => hostileValue(column, random));
  return {
    column,
    make: pick === undefined ? valueMaker(column) : ({ random }) => pick(random),
    makeHostile: plan.options.hostileValues && !isKept ? makeHostile : undefined,
  };
}

/** A generated value in the form that the column holds. */
function columnValue(column: Column, value: Value): Value {
  if (typeof value === 'string') return column.maxLength === undefined ? value : cut(value, column.maxLength);
  if (typeof value !== 'number') return value;
  switch (column.type) {
    case 'Edm.Decimal':
      return decimalText(value, column.scale ?? 4);
    case 'Edm.Int64':
      return BigInt(value);
    case 'Edm.DateTimeOffset':
      return dateTimeText(new Date(value));
    case 'Edm.Date':
      return new Date(value).toISOString().slice(0, 10);
    default:
      return value;
  }
}

/** Amounts are rounded to cents and rates to six decimals, because more digits would show the error of a double. */
function decimalText(value: number, scale: number): string {
  const places = scale > 10 ? 6 : Math.min(scale, scale === 4 || scale === 10 ? 2 : scale);
  const text = value.toFixed(places);
  if (places === scale) return text;
  return `${text}${places === 0 ? '.' : ''}`.padEnd(text.length + scale - places, '0');
}

/** Picks any row that exists, in circles too; one in six lookups is empty, and all are where the target has no rows. */
function lookupPicker(model: Model, column: Column, plan: RowPlan): (random: Random) => Lookup | null {
  const targets = column
    .targets!.flatMap((target) => {
      const table = model.tables.get(target.table);
      return table === undefined ? [] : model.family(table);
    })
    .map(({ logicalName }) => logicalName)
    .filter((name) => plan.count(name) > 0);
  return (random) => {
    if (targets.length === 0 || (column.logicalName !== 'ownerid' && random.chance(0.16))) return null;
    const name = random.pick(targets);
    return plan.lookup(name, random.below(plan.count(name)));
  };
}

/** A status reason belongs to its state. */
function agreeState(table: Table, values: Value[]): void {
  const status = columnIndex(table, 'statuscode');
  const state = columnIndex(table, 'statecode');
  if (status < 0 || state < 0) return;
  const option = table.columns[status]!.choice?.options.find((choice) => choice.value === values[status]);
  if (option?.state !== undefined) values[state] = option.state;
}

/** Sets the two ends of an N:N row: each pair occurs once. */
function endsSetter(table: Table, plan: RowPlan): (values: Value[], index: number) => void {
  const [one, two] = table.intersect!.ends;
  const ones = Math.max(1, plan.count(one.table));
  const twos = Math.max(1, plan.count(two.table));
  return (values, index) => {
    const first = index % ones;
    const second = (Math.floor(index / ones) + first * 7) % twos;
    values[columnIndex(table, one.column)] = plan.id(one.table, first);
    values[columnIndex(table, two.column)] = plan.id(two.table, second);
  };
}

import { type Column, columnIndex, type Model, type Table } from '../metadata/model.ts';
import { fillText } from './fill-text.ts';
import { generatedValue } from './generate-value.ts';
import { guidOrderKey } from './guid.ts';
import { Random } from './random.ts';
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
    // Spread over the row's life; a quarter share a second with others, as after an import at midnight.
    const minutes = random.below(Math.floor((plan.now.getTime() - created.getTime()) / 60_000) + 1);
    const moment = created.getTime() + 60_000 * minutes;
    const midnight = moment - (moment % 86_400_000);
    const modified = new Date(random.below(4) === 0 && midnight >= created.getTime() ? midnight : moment);
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

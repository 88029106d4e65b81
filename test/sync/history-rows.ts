import type { Store } from '../../src/local/sample-dataverse/index.ts';
import type { Column, Table } from '../../src/local/sample-dataverse/metadata/model.ts';
import type { Random } from '../../src/local/sample-dataverse/rows/random.ts';
import type { RowValues } from '../../src/local/sample-dataverse/rows/store.ts';
import { dateTimeText, type Value } from '../../src/local/sample-dataverse/rows/values.ts';

const texts = [
  '',
  ' ',
  'plain',
  'O’Hara “quoted”',
  '"',
  "it's",
  '\\',
  'a\nb\tc',
  '日本 ελ',
  '🙂',
  '12',
  '0x1f',
  'null',
];

/** A value that the column may have. Edge cases are more frequent than in an even distribution. */
export function randomValue(column: Column, random: Random, now: Date): Value {
  if (random.chance(0.2) && column.choice?.kind !== 'state' && column.choice?.kind !== 'status') return null;
  switch (column.type) {
    case 'Edm.Int16':
      return random.pick([0, -32768, 32767, random.below(1000)]);
    case 'Edm.Int32': {
      const options = column.choice?.options;
      return options ? random.pick(options).value : random.pick([0, -1, 2147483647, random.below(100)]);
    }
    case 'Edm.Int64':
      return random.pick([0n, 9007199254740993n, -9223372036854775808n, BigInt(random.below(1000))]);
    case 'Edm.Decimal':
      return random.pick(['0', '0.0000', '-12.5000', `${random.below(100000)}.${random.digits(4)}`]);
    case 'Edm.Double':
      return random.pick([0, -0.5, 1e-9, 1.5e20, random.below(1000) / 8]);
    case 'Edm.Boolean':
      return random.chance(0.5);
    case 'Edm.Guid':
      return random.guid();
    case 'Edm.Date':
      return random.pick(['1753-01-01', '9999-12-31', now.toISOString().slice(0, 10)]);
    case 'Edm.DateTimeOffset':
      return random.pick([
        '1900-01-01T00:00:00Z',
        dateTimeText(now),
        dateTimeText(new Date(random.below(2 ** 31) * 1000)),
      ]);
    case 'Edm.TimeOfDay':
      return random.pick(['00:00:00', '23:59:59.9999999']);
    case 'Edm.Binary':
      return Buffer.from(random.pick(texts)).toString('base64');
    case 'Edm.String':
      return column.choice?.kind === 'multichoice'
        ? column.choice.options
            .slice(0, 1 + random.below(3))
            .map(({ value }) => value)
            .join(',')
        : random.pick(texts).slice(0, column.maxLength ?? 1000);
    case 'Collection(Edm.String)':
      return { json: [random.pick(texts)] };
    case 'Collection(Edm.Int32)':
      return { json: [random.below(5), -1] };
    default:
      return null;
  }
}

/** Columns that Dataverse sets. */
const fixed = new Set(['versionnumber', 'createdon', 'modifiedon', 'activitytypecode']);

export function isFree(table: Table, column: Column): boolean {
  return (
    column.name !== table.primaryId &&
    column.name !== table.key &&
    column.targets === undefined &&
    !fixed.has(column.name) &&
    !column.name.startsWith('_')
  );
}

/** Whether a caller can set the lookup. Dataverse derives `owninguser` and `owningteam` from the owner. */
export function isSettable(column: Column): boolean {
  return column.targets !== undefined && !/^_owning(user|team)_value$/.test(column.name);
}

/** Values for some of the table's columns, including lookups. */
export function randomValues(store: Store, table: Table, random: Random, share: number): RowValues {
  const values: RowValues = {};
  for (const column of table.columns) {
    if (!random.chance(share)) continue;
    if (isSettable(column)) values[column.name] = randomLookup(store, column, random);
    else if (isFree(table, column)) values[column.name] = randomValue(column, random, store.now());
  }
  return values;
}

export function randomLookup(store: Store, column: Column, random: Random): Value {
  const targets = lookupTargets(store, column);
  return targets.length === 0 || random.chance(0.15) ? null : random.pick(targets);
}

/** Every row that a lookup may point to. */
export function lookupTargets(store: Store, column: Column): { id: string; table: string }[] {
  return column.targets!.flatMap(({ table: name }) => {
    const target = store.model.tables.get(name);
    if (target === undefined) return [];
    return store.model
      .family(target)
      .filter((member) => !member.abstract)
      .flatMap((member) =>
        [...store.rowsOf(member).all()].map(({ id }) => ({ id, table: member.logicalName })),
      );
  });
}

/** Changes the calculated column of a row, if it still has it. */
export function compute(
  store: Store,
  table: Table,
  id: string,
  random: Random,
  { isEarlier }: { isEarlier: boolean },
): void {
  const column = table.columns.find(({ source }) => source !== undefined);
  if (column === undefined) return;
  store.updateSilently(table.logicalName, id, { [column.name]: randomValue(column, random, store.now()) });
  const version = table.columns.findIndex(({ name }) => name === 'versionnumber');
  const row = store.rowsOf(table).get(id)!;
  if (!isEarlier || version < 0 || row.version < 2n) return;
  const earlier = row.version - 1n;
  store.rowsOf(table).put({ ...row, version: earlier, values: row.values.with(version, earlier) });
}

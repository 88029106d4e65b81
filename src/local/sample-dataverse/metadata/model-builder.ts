import { type AlternateKey, type ChoiceKind, type Column, Model, type Table } from './model.ts';

/** A short description of a table, for the sample model and for tables created at run time. */
export interface TableSpec {
  name: string;
  set?: string;
  schemaName?: string;
  displayName?: string;
  base?: string;
  abstract?: boolean;
  /** The key in `$metadata`, if it is not the primary id. */
  key?: string;
  primaryName?: string;
  tracked?: boolean;
  columns?: Column[];
  keys?: AlternateKey[];
  /** The two ends of an N:N table: table, column, navigation property. */
  intersect?: [[string, string, string], [string, string, string]];
  /** The id column of an N:N table, if it is not name + "id". */
  idColumn?: string;
  /** The table's share of all rows. */
  weight?: number;
}

/**
 * Makes columns from short type names: `text:100`, `memo`, `int`, `int16`, `int64`, `decimal:precision:scale`,
 * `money[:scale]`, `double`, `bool`, `date`, `datetime`, `time`, `guid`, `id`, `binary`, `file`, `managed`
 * (a complex type), `strings`, `ints`. A `!` at the end makes a column read-only.
 */
export function columns(spec: Record<string, string>): Column[] {
  return Object.entries(spec).map(([name, word]) => columnFromWord(name, word));
}

function columnFromWord(name: string, word: string): Column {
  const readOnly = word.endsWith('!');
  const [kind = '', first, second] = word.replace('!', '').split(':');
  const column: Column = { name, logicalName: name, type: edmTypes[kind] ?? 'Edm.String' };
  if (kind === 'text') column.maxLength = first === undefined ? 160 : Number(first);
  if (kind === 'memo') column.maxLength = 1_048_576;
  if (kind === 'decimal')
    Object.assign(column, { precision: Number(first ?? 20), scale: Number(second ?? 6) });
  if (kind === 'money') Object.assign(column, { precision: 23, scale: Number(first ?? 4) });
  if (kind === 'bool') column.choice = { kind: 'boolean', options: yesNo };
  if (kind === 'file') column.file = true;
  if (readOnly) column.readOnly = true;
  return column;
}

const yesNo = [
  { value: 0, label: 'No' },
  { value: 1, label: 'Yes' },
];

const edmTypes: Record<string, string> = {
  id: 'Edm.Guid',
  guid: 'Edm.Guid',
  file: 'Edm.Guid',
  int: 'Edm.Int32',
  int16: 'Edm.Int16',
  int64: 'Edm.Int64',
  decimal: 'Edm.Decimal',
  money: 'Edm.Decimal',
  double: 'Edm.Double',
  bool: 'Edm.Boolean',
  date: 'Edm.Date',
  datetime: 'Edm.DateTimeOffset',
  time: 'Edm.TimeOfDay',
  binary: 'Edm.Binary',
  managed: 'mscrm.BooleanManagedProperty',
  strings: 'Collection(Edm.String)',
  ints: 'Collection(Edm.Int32)',
};

export function choiceColumn(
  name: string,
  kind: ChoiceKind,
  options: readonly (readonly [number, string, number?])[],
): Column {
  return {
    name,
    logicalName: name,
    type: kind === 'multichoice' ? 'Edm.String' : 'Edm.Int32',
    choice: {
      kind,
      options: options.map(([value, label, state]) => ({ value, label, state })),
    },
  };
}

/** A lookup. Its property is `_name_value` in lower case; its navigation properties keep their case. */
export function lookupColumn(name: string, targets: readonly (readonly [string, string])[]): Column {
  const logicalName = name.toLowerCase();
  return {
    name: `_${logicalName}_value`,
    logicalName,
    type: 'Edm.Guid',
    targets: targets.map(([table, navigation]) => ({ table, navigation, referenced: '' })),
  };
}

/** Builds a model: inherits columns, finds keys, resolves the targets of lookups. */
export function tablesFromSpecs(specs: readonly TableSpec[]): Model {
  const model = new Model([]);
  for (const spec of specs) addTable(model, spec);
  for (const table of model.tables.values()) resolveLookups(model, table);
  return model;
}

export function addTable(model: Model, spec: TableSpec): Table {
  const base = spec.base === undefined ? undefined : model.byName(spec.base);
  // Cloned because the schema editor changes columns and keys.
  const own = spec.intersect ? intersectColumns(spec) : structuredClone(spec.columns ?? []);
  const idColumn = own.find((column) => column.name === `${spec.name}id`)?.name;
  const key = spec.key ?? base?.key ?? spec.idColumn ?? idColumn ?? own[0]?.name ?? `${spec.name}id`;
  const table: Table = {
    logicalName: spec.name,
    entitySetName: spec.set,
    schemaName: spec.schemaName ?? spec.name,
    displayName: spec.displayName ?? displayName(spec.name),
    baseType: spec.base,
    abstract: spec.abstract ?? false,
    key,
    primaryId: idColumn ?? key,
    primaryName: spec.primaryName,
    columns: [...(base?.columns ?? []), ...own],
    inherited: base?.columns.length ?? 0,
    changeTracking: spec.tracked ?? false,
    alternateKeys: structuredClone(spec.keys ?? []),
    isActivity: spec.base === 'activitypointer' || spec.name === 'activitypointer',
  };
  if (spec.intersect) {
    const [first, second] = spec.intersect;
    table.intersect = {
      relationship: first[2],
      ends: [
        { table: first[0], column: first[1], navigation: first[2] },
        { table: second[0], column: second[1], navigation: second[2] },
      ],
    };
    // An N:N table is tracked if both of its ends are (learn.microsoft.com: error 0x80072492).
    table.changeTracking = spec.intersect.every(([name]) => model.byName(name).changeTracking);
  }
  model.add(table);
  return table;
}

function intersectColumns(spec: TableSpec): Column[] {
  const ends = spec.intersect!.map(([, column]) => column);
  const names = [spec.idColumn ?? `${spec.name}id`, ...ends];
  return [
    ...names.map((name): Column => ({ name, logicalName: name, type: 'Edm.Guid', readOnly: true })),
    { name: 'versionnumber', logicalName: 'versionnumber', type: 'Edm.Int64', readOnly: true },
  ];
}

export function resolveLookups(model: Model, table: Table): void {
  for (const column of table.columns) {
    for (const target of column.targets ?? []) {
      const to = model.tables.get(target.table);
      target.referenced = to === undefined ? `${target.table}id` : to.primaryId;
    }
  }
}

function displayName(logicalName: string): string {
  const bare = logicalName.replace(/^(new|apex)_/, '').replaceAll('_', ' ');
  return bare.charAt(0).toUpperCase() + bare.slice(1);
}

import { Identifiers, member } from './identifiers.ts';
import type { TypedColumn, TypedTable } from './types-model.ts';

export interface WriteTypesOptions {
  /** The environment, for the first line. */
  url: string;
  /** The types of rows in the Web API, with table definitions for the client. */
  client: boolean;
  /** The types of rows in the mirror. */
  mirror: boolean;
}

/** The module of TypeScript with the types of the tables. Equal tables make equal text. */
export function writeTypes(tables: readonly TypedTable[], options: WriteTypesOptions): string {
  const names = new Identifiers();
  const parts = [
    `// Types of tables of ${oneLine(options.url)}.`,
    '// Written by dataverse-sqlite-sync types. Run it again after a change of the schema, instead of editing this file.',
  ];
  if (options.client) {
    parts.push(
      "import { defineTable, type noReference, type Reference } from 'dataverse-sqlite-sync/dataverse';",
    );
  }
  const rows: { name: string; type: string }[] = [];
  for (const table of tables) {
    const base = names.type(table.logicalName);
    const choices = choiceTypes(table, base, names);
    parts.push(...choices.declarations);
    if (options.client) parts.push(...clientTypes(table, base, choices.types, names));
    if (options.mirror) {
      const type = names.type(base, 'Row');
      rows.push({ name: table.name, type });
      parts.push(rowType(table, type, choices.types));
    }
  }
  if (options.mirror) {
    const members = rows.map(({ name, type }) => `  ${member(name)}: ${type};`);
    parts.push(
      `/** The rows of the tables in the mirror, by table. */\nexport interface Mirror {\n${members.join('\n')}\n}`,
    );
  }
  return `${parts.join('\n\n')}\n`.replace('\n\n// Written', '\n// Written');
}

/** A constant with the values by label, and a type with the same name: `AccountStatecode.Active`. */
function choiceTypes(
  { columns }: TypedTable,
  base: string,
  names: Identifiers,
): { declarations: string[]; types: Map<TypedColumn, string> } {
  const types = new Map<TypedColumn, string>();
  const declarations = columns.flatMap((column) => {
    const { choices, property, displayName } = column;
    if (choices === undefined || column.edmType === 'Edm.Boolean') return [];
    const name = names.type(`${base}_${property}`);
    types.set(column, name);
    const labels = labelled(choices);
    const members = labels.map(({ label, value }) => `  ${member(label)}: ${value},`);
    return [
      `${comment([displayName === property ? undefined : displayName, `Values of \`${property}\`, by label.`])}export const ${name} = {\n${members.join('\n')}\n} as const;`,
      `export type ${name} = (typeof ${name})[keyof typeof ${name}];`,
    ];
  });
  return { declarations, types };
}

/** Two options can have the same label: then the value is added to both. */
function labelled(choices: readonly { value: number; label: string }[]): { value: number; label: string }[] {
  const used = new Set<string>();
  const counts = new Map<string, number>();
  for (const { label } of choices) counts.set(label, (counts.get(label) ?? 0) + 1);
  return choices.map(({ value, label }) => {
    let unique = counts.get(label)! > 1 || label === '__proto__' ? `${label} (${value})` : label;
    while (used.has(unique)) unique = `${unique} (${value})`;
    used.add(unique);
    return { value, label: unique };
  });
}

function clientTypes(
  table: TypedTable,
  base: string,
  choices: ReadonlyMap<TypedColumn, string>,
  names: Identifiers,
): string[] {
  const { logicalName, entitySet, primaryId, columns, lookups } = table;
  const about = [table.displayName, table.description];
  // The table that a polymorphic lookup points to is a column in the mirror only.
  const own = columns.filter(({ property }) => !property.includes('@'));
  const reads = own.map((column) => {
    const type = choices.get(column) ?? (isExact(table, column) ? 'string' : webApiType(column.edmType));
    return `${columnComment(column)}  ${member(column.property)}: ${orNull(type, column)};`;
  });
  const writes = own
    .filter(({ isWritable }) => isWritable)
    .map((column) => {
      const type = isExact(table, column) ? 'string | number' : webApiType(column.edmType);
      return `  ${member(column.property)}?: ${orNull(choices.get(column) ?? type, column)};`;
    });
  const exact = own.filter((column) => isExact(table, column)).map(({ property }) => property);
  const decimals = exact.length === 0 ? '' : `\n  decimals: ${JSON.stringify(exact)},`;
  const binds = lookups.map(({ navigation, target }) => {
    return `${comment([`A row of ${target}.`], '  ')}  ${member(navigation)}?: Reference | typeof noReference;`;
  });
  const write = names.type(base, 'Write');
  const text = JSON.stringify;
  return [
    `${comment([...about, `A row of \`${logicalName}\` as the Web API returns it.`])}export interface ${base} {\n${reads.join('\n')}\n}`,
    `${comment([`What a write of \`${logicalName}\` accepts.`])}export interface ${write} {\n${[...writes, ...binds].join('\n')}\n}`,
    `export const ${names.constant(entitySet)} = defineTable<${base}, ${write}>({\n  logicalName: ${text(logicalName)},\n  entitySet: ${text(entitySet)},\n  primaryId: ${text(primaryId)},${decimals}\n});`,
  ];
}

function rowType(table: TypedTable, type: string, choices: ReadonlyMap<TypedColumn, string>): string {
  const members = table.columns.map((column) => {
    const sqlite = choices.get(column) ?? mirrorType(column.edmType, table.decimals);
    return `${columnComment(column)}  ${member(column.name)}: ${orNull(sqlite, column)};`;
  });
  const about = [table.displayName, table.description, `A row of \`${table.name}\` in the mirror.`];
  return `${comment(about)}export interface ${type} {\n${members.join('\n')}\n}`;
}

/** Whether the numbers of a column are texts with every digit, as its table wants them. */
function isExact({ decimals }: TypedTable, { edmType }: TypedColumn): boolean {
  return decimals === 'text' && (edmType === 'Edm.Decimal' || edmType === 'Edm.Int64');
}

function orNull(type: string, { isKey }: TypedColumn): string {
  return isKey ? type : `${type} | null`;
}

/** learn.microsoft.com: Web API Properties, "Primitive types". */
function webApiType(edmType: string): string {
  if (edmType === 'Edm.Boolean') return 'boolean';
  if (/^Edm\.(?:Byte|SByte|Int16|Int32|Int64|Single|Double|Decimal)$/.test(edmType)) return 'number';
  return edmType.startsWith('Edm.') ? 'string' : 'unknown';
}

/** docs/database.md, "Types". Integers beyond 2^53 are BigInts. */
function mirrorType(edmType: string, decimals: 'real' | 'text'): string {
  if (edmType === 'Edm.Decimal' && decimals === 'text') return 'string';
  if (edmType === 'Edm.Boolean') return '0 | 1';
  if (edmType === 'Edm.Int64') return 'number | bigint';
  if (/^Edm\.(?:Byte|SByte|Int16|Int32|Single|Double|Decimal)$/.test(edmType)) return 'number';
  return edmType === 'Edm.Binary' ? 'Uint8Array' : 'string';
}

function columnComment(column: TypedColumn): string {
  const { property, description, targets, choices, edmType } = column;
  // Without a name of its own, the column would be explained by its name.
  const displayName = column.displayName?.toLowerCase() === property ? undefined : column.displayName;
  const labels =
    edmType === 'Edm.Boolean' ? choices?.map(({ value, label }) => `${value}: ${label}`).join(', ') : '';
  const points = targets.length > 0 ? `The id of a row of ${targets.join(', ')}.` : undefined;
  return comment([displayName, description, labels, points], '  ');
}

/** A doc comment, or nothing. */
function comment(sentences: readonly (string | undefined)[], indent = ''): string {
  const lines = sentences.flatMap((text) => {
    const line = oneLine(text ?? '').replaceAll('*/', '*\\/');
    return line === '' ? [] : [line];
  });
  const unique = [...new Set(lines)];
  if (unique.length === 0) return '';
  if (unique.length === 1) return `${indent}/** ${unique[0]} */\n`;
  return `${indent}/**\n${unique.map((line) => `${indent} * ${line}\n`).join('')}${indent} */\n`;
}

/** Texts of Dataverse can have line breaks, also those that only JavaScript knows. */
function oneLine(text: string): string {
  return text.replaceAll(/[\s\p{Cc}\u2028\u2029]+/gu, ' ').trim();
}

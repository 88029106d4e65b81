import type { DataverseClient } from '../../dataverse/client.ts';
import { dataverseFault } from '../../dataverse/errors/errors.ts';
import type { Choice } from '../../dataverse/metadata/choices.ts';
import type { DisplayName } from '../../dataverse/metadata/display-names.ts';
import { ConfigurationError, RetriableError } from '../../errors.ts';
import { parseCsdl } from '../../schema/csdl.ts';
import { CsdlIndex } from '../../schema/csdl-index.ts';
import { entitySetOf, type Table } from '../../schema/table.ts';
import { resolveTables } from '../../schema/tables-from-csdl.ts';
import { forEachConcurrently } from '../../storage/for-each-concurrently.ts';
import { labelsOf } from '../../sync/plan/choice-labels.ts';
import type { TypedColumn, TypedTable } from './types-model.ts';

/** Requests at the same time. */
const concurrency = 8;

export interface ReadTablesResult {
  tables: TypedTable[];
  /** What could not be read, for people. */
  warnings: string[];
}

/** A table to read, by its logical name. */
export interface TableToRead {
  name: string;
  /** How the mirror stores its decimals. @default 'real' */
  decimals?: 'real' | 'text' | undefined;
}

/**
 * Reads the tables from Dataverse's metadata.
 * @throws ConfigurationError for a table that Dataverse does not have, and the errors of requests
 */
export async function readTables(
  client: DataverseClient,
  wanted: readonly TableToRead[],
): Promise<ReadTablesResult> {
  const names = wanted.map(({ name }) => name);
  const decimals = new Map(wanted.map((table) => [table.name, table.decimals ?? 'real']));
  const warnings: string[] = [];
  const [document, definitions] = await Promise.all([
    client.readMetadataDocument(),
    client.readEntityDefinitions().catch((error: unknown) => {
      if (dataverseFault(error)?.status !== 403) throw error;
      warnings.push('The definitions of tables may not be read: primary columns are those of $metadata.');
      return [];
    }),
  ]);
  if (document === 'unchanged') throw new Error('The metadata document was not asked for conditionally.');
  const csdl = parseCsdl(document.document);
  const known = definitions.flatMap(({ entitySetName, primaryIdAttribute, ...rest }) =>
    entitySetName === undefined
      ? []
      : [
          {
            logicalName: rest.logicalName,
            entitySetName,
            primaryId: primaryIdAttribute,
            intersect: rest.isIntersect,
          },
        ],
  );
  const { tables, failures } = resolveTables(csdl, known, names);
  if (failures[0] !== undefined) throw failures[0].error;
  if (tables.length === 0) {
    throw new ConfigurationError('No table is named.', {
      operation: 'read the tables',
      hint: 'Use --tables.',
    });
  }
  const [texts, choices] = await Promise.all([
    readTexts(client, tables, warnings),
    readLabels(client, tables, warnings),
  ]);
  const index = CsdlIndex.of(csdl);
  return {
    tables: tables.map((table) => ({
      ...typedTable(table, index, texts.get(table.logicalName), choices),
      decimals: decimals.get(table.logicalName) ?? 'real',
    })),
    warnings,
  };
}

type Texts = Awaited<ReturnType<DataverseClient['readDisplayNames']>>;

async function readTexts(
  client: DataverseClient,
  tables: readonly Table[],
  warnings: string[],
): Promise<Map<string, Texts>> {
  const texts = new Map<string, Texts>();
  let refused = 0;
  await forEachConcurrently([...tables], concurrency, async ({ logicalName }) => {
    try {
      texts.set(logicalName, await client.readDisplayNames(logicalName));
    } catch (error) {
      if (dataverseFault(error) === undefined || error instanceof RetriableError) throw error;
      refused += 1;
    }
  });
  if (refused > 0) warnings.push(`Dataverse refused the display names of ${refused} tables.`);
  return texts;
}

/** The label of each choice in the base language, or else in the first one, by `table.column`. */
async function readLabels(
  client: DataverseClient,
  tables: readonly Table[],
  warnings: string[],
): Promise<Map<string, Map<number, string>>> {
  const names = tables.map(({ logicalName }) => logicalName);
  const refuse = (error: unknown): undefined => {
    if (dataverseFault(error) === undefined || error instanceof RetriableError) throw error;
    return undefined;
  };
  const [language, fromMap] = await Promise.all([
    client.readBaseLanguage().catch(refuse),
    client.readChoices({ tables: names }).catch(refuse),
  ]);
  let choices: readonly Choice[] = fromMap ?? [];
  if (choices.length === 0) choices = labelsOf(await client.readChoiceMetadata(names));
  if (choices.length === 0) warnings.push('Dataverse has no labels for choices: their columns are numbers.');
  const labels = new Map<string, Map<number, string>>();
  const ranked = choices.toSorted(
    (a, b) => Number(b.language === language) - Number(a.language === language),
  );
  for (const { table, column, value, label } of ranked) {
    const key = `${table}.${column}`;
    const values = labels.get(key) ?? new Map<number, string>();
    if (!values.has(value)) values.set(value, label);
    labels.set(key, values);
  }
  return labels;
}

function typedTable(
  table: Table,
  index: CsdlIndex,
  texts: Texts | undefined,
  labels: ReadonlyMap<string, ReadonlyMap<number, string>>,
): Omit<TypedTable, 'decimals'> {
  const { logicalName, name, primaryKey, columns, foreignKeys } = table;
  const byName = new Map(texts?.columns.map((text) => [text.logicalName, text]));
  const targetsOf = new Map(foreignKeys.map(({ column, targets }) => [column, targets]));
  const typed = columns.flatMap((column): TypedColumn[] => {
    const { property, edmType } = column;
    if (property === undefined) return [];
    const text = textOf(property, byName);
    const choices = labels.get(`${logicalName}.${property}`);
    const isChoice = /^Edm\.(?:Int32|Boolean)$/.test(edmType);
    return [
      {
        ...{ property, name: column.name, edmType },
        ...{ displayName: text?.displayName, description: text?.description },
        choices:
          choices !== undefined && isChoice
            ? [...choices].map(([value, label]) => ({ value, label })).sort((a, b) => a.value - b.value)
            : undefined,
        targets: targetsOf.get(column.name) ?? [],
        isKey: column.name === primaryKey,
        isWritable: !/^_.*_value(?:@|$)/.test(property) && (text?.isWritable ?? true),
      },
    ];
  });
  return {
    ...{ logicalName, name, entitySet: entitySetOf(table), primaryId: primaryKey },
    ...{ displayName: texts?.table.displayName, description: texts?.table.description },
    columns: typed,
    lookups: lookupsOf(index, logicalName),
  };
}

/** The texts of a property: those of a lookup belong to the column without `_…_value`. */
function textOf(property: string, byName: ReadonlyMap<string, DisplayName>): DisplayName | undefined {
  return byName.get(property) ?? byName.get(/^_(.+)_value$/.exec(property)?.[1] ?? '');
}

/** Navigation properties that a write can bind: those of a lookup of this table. */
function lookupsOf(index: CsdlIndex, logicalName: string): TypedTable['lookups'] {
  const found = new Map<string, string>();
  for (const { navigationProperties } of index.ancestry(logicalName)) {
    for (const { name, type, collection, constraints } of navigationProperties) {
      const isLookup = constraints.some(({ property }) => /^_.+_value$/.test(property));
      if (!collection && isLookup && !found.has(name)) found.set(name, type);
    }
  }
  return [...found].map(([navigation, target]) => ({ navigation, target })).sort(byNavigation);
}

function byNavigation(a: { navigation: string }, b: { navigation: string }): number {
  return a.navigation < b.navigation ? -1 : 1;
}

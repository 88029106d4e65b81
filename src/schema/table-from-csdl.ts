import { ConfigurationError, SkipTableError } from '../errors.ts';
import { type ColumnSelection, selectColumns } from './column-selection.ts';
import { columnTypeOf, ofType } from './column-types.ts';
import { type Csdl, isCollection, type Property } from './csdl.ts';
import { byCodeUnit, CsdlIndex } from './csdl-index.ts';
import { didYouMean } from './did-you-mean.ts';
import { foreignKeysOf } from './foreign-keys.ts';
import { reservedColumns } from './reserved-names.ts';
import type { Column, ForeignKey, Table } from './table.ts';

/**
 * What `EntityDefinitions` says about a table beyond `$metadata`
 * (learn.microsoft.com: Query table definitions using the Web API).
 */
export interface TableDefinition {
  logicalName: string;
  entitySetName: string;
  primaryId?: string;
  primaryName?: string;
  changeTracking?: boolean;
  intersect?: boolean;
  /** Whether it is an elastic table. */
  elastic?: boolean;
}

export interface TableOptions {
  columns?: ColumnSelection;
}

/** The annotation with the target table of a lookup's value. */
const lookupLogicalName = 'Microsoft.Dynamics.CRM.lookuplogicalname';

/**
 * The model of one Dataverse table, with the key and columns of its base types. The order of elements in the document
 * does not matter.
 * @throws ConfigurationError if `$metadata` does not have the table, or the table does not have a selected column
 * @throws SkipTableError if the table does not have a single key column, or is elastic
 */
export function tableFromCsdl(csdl: Csdl, definition: TableDefinition, options: TableOptions = {}): Table {
  const index = CsdlIndex.of(csdl);
  const { logicalName } = definition;
  if (index.type(logicalName) === undefined) throw unknownTable(index, logicalName);
  if (definition.elastic || index.type(logicalName)?.elastic) throw elasticTable(logicalName);
  const key = index.key(logicalName);
  if (key.length > 1) throw compositeKey(logicalName, key);
  const properties = index.properties(logicalName);
  const primaryKey =
    definition.primaryId !== undefined && properties.has(definition.primaryId)
      ? definition.primaryId
      : index.primaryId(logicalName);
  if (primaryKey === undefined || !properties.has(primaryKey)) {
    throw new SkipTableError(`Table ${logicalName} does not have a single key column in $metadata`, {
      operation: 'read the schema',
      object: logicalName,
      hint: 'Remove it from entities.json. Only a table with one id column can be mirrored.',
    });
  }

  const needed = [primaryKey, 'versionnumber', 'modifiedon'];
  const kept = selectColumns(logicalName, new Set(properties.keys()), needed, options.columns);
  const foreignKeys = foreignKeysOf(csdl, logicalName, primaryKey).filter(({ column }) => kept.has(column));
  const columns = [...properties.values()]
    .filter(({ name }) => kept.has(name))
    .map((property) => columnOf(property, index));
  columns.push(...typeColumns(foreignKeys));
  columns.sort(
    (a, b) => Number(b.name === primaryKey) - Number(a.name === primaryKey) || byCodeUnit(a.name, b.name),
  );
  const names = namesInSqlite(columns);
  const intersect = definition.intersect ?? looksLikeIntersect(columns, foreignKeys, primaryKey);

  return {
    logicalName,
    name: definition.entitySetName,
    primaryKey,
    primaryName: names.get(definition.primaryName ?? ''),
    columns: columns.map((column) => ({ ...column, name: names.get(column.name)! })),
    foreignKeys: foreignKeys.map((key) => renamed(key, names)),
    versionColumn: names.get('versionnumber'),
    modifiedOnColumn: names.get('modifiedon'),
    changeTracking: definition.changeTracking ?? index.set(logicalName)?.changeTracking ?? false,
    intersect,
  };
}

/**
 * In an elastic table the id alone is not unique: rows of several partitions may share it, and would overwrite each
 * other (learn.microsoft.com: Elastic tables for developers, "Partitioning and horizontal scaling").
 */
function elasticTable(logicalName: string): SkipTableError {
  return new SkipTableError(
    `Table ${logicalName} is an elastic table: its rows are told apart by id and partitionid together, and cannot be mirrored`,
    {
      operation: 'read the schema',
      object: logicalName,
      hint: 'Remove it from entities.json. Only a table with one id column can be mirrored.',
    },
  );
}

/** One column of the key alone may be the same in several rows, which would overwrite each other. */
function compositeKey(logicalName: string, key: readonly string[]): SkipTableError {
  return new SkipTableError(
    `Table ${logicalName} does not have a single key column in $metadata: its rows are told apart by ${key.join(', ')} together, and cannot be mirrored`,
    {
      operation: 'read the schema',
      object: logicalName,
      hint: 'Remove it from entities.json. Only a table with one id column can be mirrored.',
    },
  );
}

/** The annotations to request with the rows of a table: for `Prefer: odata.include-annotations`. */
export function needsAnnotations(table: Table): string[] {
  const names = table.columns.flatMap(({ property }) => property?.split('@').slice(1) ?? []);
  return [...new Set(names)].sort(byCodeUnit);
}

/** The error for a logical name that no entity type has. It suggests similar names. */
export function unknownTable(index: CsdlIndex, name: string): ConfigurationError {
  const ofSet = index.typeNames().find((type) => index.set(type)?.name === name);
  const guess =
    ofSet === undefined
      ? didYouMean(name, index.typeNames())
      : `; this is the entity set of ${ofSet}, write ${ofSet}`;
  return new ConfigurationError(`Dataverse has no table ${name}${guess}`, {
    operation: 'look up a table',
    object: name,
    hint: 'Correct or remove the entry in entities.json. It lists logical names, for example account.',
  });
}

/** The column of a property. A value that does not fit into one SQLite value becomes JSON text. */
function columnOf({ name, type: edmType }: Property, index: CsdlIndex): Column {
  const type = isCollection(edmType) ? undefined : columnTypeOf(index.underlyingType(edmType));
  const other = !isCollection(edmType) && index.isEnum(edmType) ? 'text' : 'json';
  return { name, property: name, edmType, ...ofType(type ?? other) };
}

/** One column beside each polymorphic lookup, for the target table. */
function typeColumns(foreignKeys: ForeignKey[]): Column[] {
  return foreignKeys.flatMap(({ column, typeColumn }): Column[] => {
    if (typeColumn === undefined) return [];
    const property = `${column}@${lookupLogicalName}`;
    return [{ name: typeColumn, property, edmType: 'Edm.String', ...ofType('text') }];
  });
}

/** An N:N table has only its key, two ids and a version. */
function looksLikeIntersect(columns: Column[], foreignKeys: ForeignKey[], primaryKey: string): boolean {
  const others = columns.filter(({ name }) => name !== primaryKey && name !== 'versionnumber');
  return (
    others.length === 2 &&
    foreignKeys.length === 2 &&
    others.every(({ name }) => foreignKeys.some((key) => key.column === name))
  );
}

/**
 * Names are case-insensitive in SQLite, but not in Dataverse: of `Name` and `name` the second one gets a number, as does
 * a name that is reserved. A key keeps its name: whoever stores the table decides whether it can.
 */
function namesInSqlite(columns: Column[]): Map<string, string> {
  const taken = new Set<string>();
  const names = new Map<string, string>();
  for (const [index, { name }] of columns.entries()) {
    let unique = index > 0 && reservedColumns.has(name.toLowerCase()) ? `${name}_2` : name;
    for (let n = 2; taken.has(unique.toLowerCase()); n++) unique = `${name}_${n}`;
    taken.add(unique.toLowerCase());
    names.set(name, unique);
  }
  return names;
}

function renamed(key: ForeignKey, names: Map<string, string>): ForeignKey {
  return { ...key, column: names.get(key.column)!, typeColumn: names.get(key.typeColumn ?? '') };
}

import { XMLParser } from 'fast-xml-parser';
import { type Column, type Intersect, Model, type Table } from './model.ts';
import { resolveLookups } from './model-builder.ts';

/**
 * Reads a model from a real `$metadata` document. The sample has its own reader, so that a bug in the product's
 * reader is not hidden by the same bug here.
 */
export function readCsdl(document: Buffer): Model {
  const parser = new XMLParser({
    ignoreAttributes: false,
    attributeNamePrefix: '',
    removeNSPrefix: true,
    processEntities: false,
    // Some attributes have the same names.
    isArray: (name, _path, _leaf, isAttribute) => !isAttribute && arrays.has(name),
  });
  const schemas: CsdlSchema[] = parser.parse(document)?.Edmx?.DataServices?.Schema ?? [];
  const types = new Map(
    schemas.flatMap((schema) => schema.EntityType ?? []).map((type) => [type.Name, type] as const),
  );
  const sets = new Map<string, string>();
  for (const schema of schemas) {
    for (const set of schema.EntityContainer?.EntitySet ?? []) sets.set(bare(set.EntityType), set.Name);
  }
  const tables: Table[] = [];
  for (const type of types.values()) {
    if (!derivesFrom(types, type, 'crmbaseentity')) continue;
    const table = readTable(types, type, sets.get(type.Name));
    if (table !== undefined) tables.push(table);
  }
  const model = new Model(tables);
  for (const table of tables) findIntersect(model, table);
  for (const table of tables) resolveLookups(model, table);
  return model;
}

interface CsdlSchema {
  EntityType?: CsdlType[];
  EntityContainer?: { EntitySet?: { Name: string; EntityType: string }[] };
}
interface CsdlType {
  Name: string;
  BaseType?: string;
  Abstract?: string;
  Key?: { PropertyRef: { Name: string }[] };
  Property?: { Name: string; Type: string; MaxLength?: string }[];
  NavigationProperty?: {
    Name: string;
    Type: string;
    ReferentialConstraint?: { Property: string; ReferencedProperty: string }[];
  }[];
}

const arrays = new Set([
  'Schema',
  'EntityType',
  'EntitySet',
  'Property',
  'PropertyRef',
  'NavigationProperty',
  'ReferentialConstraint',
]);

function bare(name: string): string {
  return name.slice(name.lastIndexOf('.') + 1);
}

/** The type and its base types, the root first. */
function lineage(types: ReadonlyMap<string, CsdlType>, type: CsdlType): CsdlType[] {
  const base = type.BaseType === undefined ? undefined : types.get(bare(type.BaseType));
  return base === undefined ? [type] : [...lineage(types, base), type];
}

function derivesFrom(types: ReadonlyMap<string, CsdlType>, type: CsdlType, root: string): boolean {
  return type.Name !== root && lineage(types, type)[0]!.Name === root;
}

function readTable(
  types: ReadonlyMap<string, CsdlType>,
  type: CsdlType,
  entitySetName: string | undefined,
): Table | undefined {
  const line = lineage(types, type);
  const key = line.findLast((member) => member.Key !== undefined)?.Key?.PropertyRef[0]?.Name;
  if (key === undefined) return undefined;
  const columns = new Map<string, Column>();
  let inherited = 0;
  for (const member of line) {
    if (member === type) inherited = columns.size;
    for (const { Name, Type, MaxLength } of member.Property ?? []) {
      if (columns.has(Name)) continue;
      const logicalName = Name.replace(/^_(.*)_value$/, '$1');
      const maxLength = MaxLength === undefined ? undefined : Number(MaxLength);
      columns.set(Name, { name: Name, type: Type, logicalName, maxLength });
    }
    readLookups(member, columns);
  }
  const base = type.BaseType === undefined ? undefined : bare(type.BaseType);
  return {
    logicalName: type.Name,
    entitySetName,
    schemaName: type.Name,
    displayName: type.Name,
    baseType: base === 'crmbaseentity' || base === 'expando' ? undefined : base,
    abstract: type.Abstract === 'true',
    key,
    primaryId: primaryId(type.Name, key, columns),
    primaryName: ['name', 'fullname', 'subject', 'title'].find((name) => columns.has(name)),
    columns: [...columns.values()],
    inherited,
    changeTracking: false,
    alternateKeys: [],
    isActivity: base === 'activitypointer',
  };
}

function primaryId(name: string, key: string, columns: ReadonlyMap<string, Column>): string {
  return columns.has(`${name}id`) ? `${name}id` : key;
}

function readLookups(type: CsdlType, columns: ReadonlyMap<string, Column>): void {
  for (const navigation of type.NavigationProperty ?? []) {
    for (const constraint of navigation.ReferentialConstraint ?? []) {
      const column = columns.get(constraint.Property);
      if (column === undefined) continue;
      column.targets ??= [];
      column.targets.push({
        table: bare(navigation.Type),
        navigation: navigation.Name,
        referenced: constraint.ReferencedProperty,
      });
    }
  }
}

/**
 * Detects an N:N table, which the document does not mark: it has few columns, no `modifiedon`, and two id columns
 * with the names of other tables' primary ids.
 */
function findIntersect(model: Model, table: Table): void {
  if (table.columns.length > 12 || table.columns.some((column) => column.name === 'modifiedon')) return;
  const ends = table.columns.flatMap((column) => {
    if (column.type !== 'Edm.Guid' || column.name === table.primaryId || !column.name.endsWith('id'))
      return [];
    const target = model.tables.get(column.name.slice(0, -2));
    return target === undefined || target.primaryId !== column.name
      ? []
      : [{ table: target.logicalName, column: column.name, navigation: `${table.logicalName}_association` }];
  });
  if (ends.length === 2) {
    table.intersect = { relationship: `${table.logicalName}_association`, ends: ends as Intersect['ends'] };
  }
}

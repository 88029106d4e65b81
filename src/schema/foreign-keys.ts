import { columnTypeOf, columnTypes } from './column-types.ts';
import type { Csdl } from './csdl.ts';
import { byCodeUnit, CsdlIndex } from './csdl-index.ts';
import type { ForeignKey } from './table.ts';

/**
 * Columns that any table of Dataverse can have and that always refer to the same type
 * (learn.microsoft.com: Table definitions, ownership and the columns that come with it).
 */
const standardTargets: Readonly<Record<string, string>> = {
  createdby: 'systemuser',
  createdonbehalfby: 'systemuser',
  modifiedby: 'systemuser',
  modifiedonbehalfby: 'systemuser',
  ownerid: 'principal',
  owningbusinessunit: 'businessunit',
  owningteam: 'team',
  owninguser: 'systemuser',
};

/**
 * The foreign keys of a table, ordered by column. Referential constraints come first. Patterns of names find the rest:
 * navigation properties without a constraint, `_x_value` columns, and `*id` columns with the name of another table's
 * primary id. Every target is an entity type of the document.
 * @param primaryKey the primary id of the table itself, which no pattern makes a foreign key
 */
export function foreignKeysOf(csdl: Csdl, typeName: string, primaryKey: string): ForeignKey[] {
  const index = CsdlIndex.of(csdl);
  const found = new Map<string, { types: Set<string>; targets: Set<string>; source: ForeignKey['source'] }>();
  const add = (column: string, target: string, source: ForeignKey['source']): void => {
    const targets = index.tablesOf(target);
    if (targets.length === 0) return;
    const entry = found.get(column) ?? { types: new Set(), targets: new Set(), source };
    entry.types.add(target);
    for (const name of targets) entry.targets.add(name);
    found.set(column, entry);
  };

  const properties = index.properties(typeName);
  const ids = [...properties.values()]
    .filter(({ type }) => columnTypes[columnTypeOf(type) ?? 'json'].id)
    .map(({ name }) => name);
  const navigations = index
    .ancestry(typeName)
    .flatMap((type) => type.navigationProperties)
    .filter((navigation) => !navigation.collection);

  for (const { type, constraints } of navigations) {
    for (const { property, referencedProperty } of constraints) {
      // A few constraints refer to another column than the key, and so do not identify a row.
      const isKey =
        index.key(type).includes(referencedProperty) || index.primaryId(type) === referencedProperty;
      if (isKey && properties.has(property)) add(property, type, 'metadata');
    }
  }

  const lookups = new Map(ids.map((column) => [lookupName(column), column]));
  for (const { name, type, constraints } of navigations) {
    if (constraints.length > 0) continue;
    const column = lookupOf(name.toLowerCase(), lookups);
    if (column !== undefined) add(column, type, 'pattern');
  }

  const ownKey = new Set([primaryKey, ...index.key(typeName)]);
  for (const column of ids) {
    if (found.has(column) || ownKey.has(column)) continue;
    const lookup = lookupName(column);
    const target = targetByName(index, lookup ?? column, lookup !== undefined);
    if (target !== undefined) add(column, target, 'pattern');
  }

  return [...found]
    .sort(([a], [b]) => byCodeUnit(a, b))
    .map(([column, { types, targets, source }]) => {
      // A lookup to one abstract type with an entity set is not polymorphic in Dataverse: it refers to an activity
      // and does not say of which kind.
      const one = types.size === 1 ? [...types][0]! : '';
      const polymorphic = targets.size > 1 && index.set(one) === undefined;
      const lookup = lookupName(column);
      return {
        column,
        targets: [...targets].sort(byCodeUnit),
        // `customerid` has the column `_customerid_type` beside `_customerid_value`.
        typeColumn: polymorphic && lookup !== undefined ? `_${lookup}_type` : undefined,
        source,
      };
    });
}

/** `customerid` of `_customerid_value`; undefined for a column that is not a lookup. */
function lookupName(column: string): string | undefined {
  return /^_(.+)_value$/.exec(column)?.[1];
}

/** `regardingobjectid_bulkoperation` belongs to `_regardingobjectid_value`. The longest name that fits wins. */
function lookupOf(navigation: string, lookups: ReadonlyMap<string | undefined, string>): string | undefined {
  for (let end = navigation.length; end > 0; end = navigation.lastIndexOf('_', end - 1)) {
    const column = lookups.get(navigation.slice(0, end));
    if (column !== undefined) return column;
  }
  return undefined;
}

function targetByName(index: CsdlIndex, name: string, lookup: boolean): string | undefined {
  const standard = Object.hasOwn(standardTargets, name) ? standardTargets[name] : undefined;
  if (standard !== undefined) return index.type(standard) === undefined ? undefined : standard;
  // An N:N table between a table and itself has the columns `accountidone` and `accountidtwo`.
  const id = /id(one|two)$/.test(name) ? name.slice(0, -3) : name;
  if (!id.endsWith('id')) return lookup && index.set(name) !== undefined ? name : undefined;
  const candidates = index.typesWithPrimaryId(id);
  const named = id.slice(0, -2);
  if (candidates.includes(named)) return named;
  // A key that several types inherit belongs to their common base type: `activityid` to `activitypointer`.
  const base = candidates.find((type) =>
    candidates.every((other) => index.ancestry(other).some(({ name: ancestor }) => ancestor === type)),
  );
  if (base !== undefined) return base;
  return lookup && index.set(named) !== undefined ? named : undefined;
}

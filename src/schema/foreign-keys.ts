import { columnTypeOf, columnTypes } from './column-types.ts';
import type { Csdl } from './csdl.ts';
import { byCodeUnit, CsdlIndex } from './csdl-index.ts';
import type { ForeignKey } from './table.ts';

/**
 * Columns that every table of Dataverse may have and that always point to the same type
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
 * The foreign keys of a table, by column name. Referential constraints come first; what they leave out is found by
 * names: navigation properties without a constraint, the `_x_value` columns, and `*id` columns that are called like
 * another table's primary id. Every target is an entity type of the document; nothing is invented.
 * @param primaryKey the table's own primary id, which a name alone never makes a foreign key
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
      // A few constraints hold a copy of some other column of the target: no reference to its row.
      const isKey =
        index.key(type).includes(referencedProperty) || index.primaryId(type) === referencedProperty;
      if (isKey && properties.has(property)) add(property, type, 'metadata');
    }
  }

  const lookups = new Map(ids.filter(isLookup).map((column) => [lookupName(column), column]));
  for (const { name, type, constraints } of navigations) {
    if (constraints.length > 0) continue;
    const column = lookupBehind(name.toLowerCase(), lookups);
    if (column !== undefined) add(column, type, 'pattern');
  }

  const ownKey = new Set([primaryKey, ...index.key(typeName)]);
  for (const column of ids) {
    if (found.has(column) || ownKey.has(column)) continue;
    const target = targetByName(index, isLookup(column) ? lookupName(column) : column, isLookup(column));
    if (target !== undefined) add(column, target, 'pattern');
  }

  return [...found]
    .sort(([a], [b]) => byCodeUnit(a, b))
    .map(([column, { types, targets, source }]) => {
      // A lookup of one abstract type that can itself be read is no polymorphic one to Dataverse: it knows the
      // activity, but need not say of which kind.
      const one = types.size === 1 ? [...types][0]! : '';
      const polymorphic = targets.size > 1 && isLookup(column) && index.set(one) === undefined;
      return {
        column,
        targets: [...targets].sort(byCodeUnit),
        ...(polymorphic ? { typeColumn: lookupTypeColumn(column) } : {}),
        source,
      };
    });
}

/** Whether a column is a lookup's value: `_customerid_value`. */
export function isLookup(column: string): boolean {
  return column.length > '__value'.length && column.startsWith('_') && column.endsWith('_value');
}

/** The column that tells the target of a polymorphic lookup: `_customerid_type` of `_customerid_value`. */
export function lookupTypeColumn(column: string): string {
  return `_${lookupName(column)}_type`;
}

function lookupName(column: string): string {
  return column.slice(1, -'_value'.length);
}

/** `regardingobjectid_bulkoperation` belongs to `_regardingobjectid_value`; the longest name that fits wins. */
function lookupBehind(navigation: string, lookups: Map<string, string>): string | undefined {
  for (let end = navigation.length; end > 0; end = navigation.lastIndexOf('_', end - 1)) {
    const column = lookups.get(navigation.slice(0, end));
    if (column !== undefined) return column;
  }
  return undefined;
}

function targetByName(index: CsdlIndex, name: string, lookup: boolean): string | undefined {
  const standard = Object.hasOwn(standardTargets, name) ? standardTargets[name] : undefined;
  if (standard !== undefined) return index.type(standard) === undefined ? undefined : standard;
  // An N:N table between a table and itself holds `accountidone` and `accountidtwo`.
  const id = /id(one|two)$/.test(name) ? name.slice(0, -3) : name;
  if (!id.endsWith('id')) return lookup && index.set(name) !== undefined ? name : undefined;
  const candidates = index.typesWithPrimaryId(id);
  const named = id.slice(0, -2);
  if (candidates.includes(named)) return named;
  // A key that several types inherit belongs to the type above them all: `activityid` to `activitypointer`.
  const top = candidates.find((type) =>
    candidates.every((other) => index.ancestry(other).some(({ name: ancestor }) => ancestor === type)),
  );
  if (top !== undefined) return top;
  return lookup && index.set(named) !== undefined ? named : undefined;
}

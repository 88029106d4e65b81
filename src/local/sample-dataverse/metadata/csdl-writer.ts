import { partner } from '../query/navigation.ts';
import type { Column, Model, Table } from './model.ts';

/**
 * Writes the `$metadata` document of a model, on one line as the service does. Annotations (change tracking,
 * alternate keys) are included on request (learn.microsoft.com: Web API service documents).
 */
export function writeCsdl(model: Model, annotations: boolean): string {
  const tables = [...model.tables.values()];
  return [
    '<?xml version="1.0" encoding="utf-8"?>',
    '<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx">',
    '<edmx:Reference Uri="http://vocabularies.odata.org/OData.Community.Keys.V1.xml"><edmx:Include Namespace="OData.Community.Keys.V1" Alias="Keys" /></edmx:Reference>',
    '<edmx:DataServices><Schema Namespace="Microsoft.Dynamics.CRM" Alias="mscrm" xmlns="http://docs.oasis-open.org/odata/ns/edm">',
    '<EntityType Name="crmbaseentity" Abstract="true" />',
    '<EntityType Name="expando" BaseType="mscrm.crmbaseentity" Abstract="true" OpenType="true" />',
    ...tables.map((table) => entityType(model, table, annotations)),
    managedProperty,
    '<EntityContainer Name="System">',
    ...tables.map((table) => entitySet(model, table, annotations)),
    '</EntityContainer></Schema></edmx:DataServices></edmx:Edmx>',
  ].join('');
}

const managedProperty =
  '<ComplexType Name="BooleanManagedProperty"><Property Name="Value" Type="Edm.Boolean" /><Property Name="CanBeChanged" Type="Edm.Boolean" /><Property Name="ManagedPropertyLogicalName" Type="Edm.String" Unicode="false" /></ComplexType>';

function entityType(model: Model, table: Table, annotations: boolean): string {
  const own = table.columns.slice(table.inherited);
  const inheritsKey = table.baseType !== undefined && model.byName(table.baseType).key === table.key;
  const key = inheritsKey ? '' : `<Key><PropertyRef Name="${table.key}" /></Key>`;
  return [
    `<EntityType Name="${table.logicalName}" BaseType="mscrm.${table.baseType ?? 'crmbaseentity'}"${table.abstract ? ' Abstract="true"' : ''}>`,
    key,
    ...own.map(property),
    ...own.flatMap((column) => lookupNavigations(table, column)),
    ...collectionNavigations(model, table),
    annotations ? table.alternateKeys.map((alternate) => alternateKey(alternate.columns)).join('') : '',
    '</EntityType>',
  ].join('');
}

function property(column: Column): string {
  const facets = [
    column.type === 'Edm.String' && ' Unicode="false"',
    column.maxLength !== undefined && ` MaxLength="${column.maxLength}"`,
    column.type === 'Edm.Decimal' && ' Scale="Variable"',
  ].filter((facet) => facet !== false);
  return `<Property Name="${column.name}" Type="${column.type}"${facets.join('')} />`;
}

function lookupNavigations(table: Table, column: Column): string[] {
  return (column.targets ?? []).map(
    (target) =>
      `<NavigationProperty Name="${target.navigation}" Type="mscrm.${target.table}" Nullable="false" Partner="${partner(table, target.navigation)}"><ReferentialConstraint Property="${column.name}" ReferencedProperty="${target.referenced}" /></NavigationProperty>`,
  );
}

/** Collection-valued navigation properties: from the lookups of other tables and from N:N relationships. */
function collectionNavigations(model: Model, table: Table): string[] {
  const found: string[] = [];
  for (const other of model.tables.values()) {
    for (const column of other.columns.slice(other.inherited)) {
      for (const target of column.targets ?? []) {
        if (target.table !== table.logicalName) continue;
        found.push(
          `<NavigationProperty Name="${partner(other, target.navigation)}" Type="Collection(mscrm.${other.logicalName})" Partner="${target.navigation}" />`,
        );
      }
    }
    const ends = other.intersect?.ends ?? [];
    for (const [index, end] of ends.entries()) {
      if (end.table !== table.logicalName) continue;
      found.push(
        `<NavigationProperty Name="${end.navigation}" Type="Collection(mscrm.${ends[1 - index]!.table})" Partner="${end.navigation}" />`,
      );
    }
  }
  return found;
}

function alternateKey(columns: readonly string[]): string {
  const parts = columns.map(
    (name) =>
      `<Record Type="OData.Community.Keys.V1.PropertyRef"><PropertyValue Property="Alias" String="${name}" /><PropertyValue Property="Name" PropertyPath="${name}" /></Record>`,
  );
  return `<Annotation Term="OData.Community.Keys.V1.AlternateKeys"><Collection><Record Type="OData.Community.Keys.V1.AlternateKey"><PropertyValue Property="Key"><Collection>${parts.join('')}</Collection></PropertyValue></Record></Collection></Annotation>`;
}

function entitySet(model: Model, table: Table, annotations: boolean): string {
  if (table.entitySetName === undefined) return '';
  const bindings = table.columns.flatMap((column) =>
    (column.targets ?? []).flatMap((target) => {
      const set = model.tables.get(target.table)?.entitySetName;
      return set === undefined
        ? []
        : [`<NavigationPropertyBinding Path="${target.navigation}" Target="${set}" />`];
    }),
  );
  const tracking =
    annotations && table.changeTracking
      ? '<Annotation Term="Org.OData.Capabilities.V1.ChangeTracking"><Record><PropertyValue Property="Supported" Bool="true" /></Record></Annotation>'
      : '';
  const content = bindings.join('') + tracking;
  const head = `<EntitySet Name="${table.entitySetName}" EntityType="Microsoft.Dynamics.CRM.${table.logicalName}"`;
  return content === '' ? `${head} />` : `${head}>${content}</EntitySet>`;
}

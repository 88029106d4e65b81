import { attributeItems } from './attribute-metadata.ts';
import { label, metadataId, noLabel } from './labels.ts';
import type { MetadataItem } from './metadata-item.ts';
import type { AlternateKey, Model, Table } from './model.ts';
import { privilegeName, privilegeVerbs } from './privilege-names.ts';

/** All tables with an entity set as `EntityMetadata` items. */
export function entityItems(model: Model): MetadataItem[] {
  return [...model.tables.values()]
    .filter((table) => table.entitySetName !== undefined)
    .map((table) => entityItem(model, table));
}

function entityItem(model: Model, table: Table): MetadataItem {
  const customizable = { Value: true, CanBeChanged: true, ManagedPropertyLogicalName: 'iscustomizable' };
  return {
    type: 'EntityMetadata',
    properties: {
      MetadataId: metadataId(table.logicalName),
      HasChanged: null,
      LogicalName: table.logicalName,
      SchemaName: table.schemaName,
      EntitySetName: table.entitySetName,
      // Not always the name of the set, so that clients that confuse the two fail.
      LogicalCollectionName: `${table.logicalName}s`,
      PrimaryIdAttribute: table.primaryId,
      PrimaryNameAttribute: table.primaryName ?? null,
      IsIntersect: table.intersect !== undefined,
      IsActivity: table.isActivity,
      IsCustomEntity: /^(new|apex)_/.test(table.logicalName),
      IsPrivate: false,
      IsLogicalEntity: false,
      ChangeTrackingEnabled: table.changeTracking,
      CanChangeTrackingBeEnabled: {
        ...customizable,
        ManagedPropertyLogicalName: 'canchangetrackingbeenabled',
      },
      IsOptimisticConcurrencyEnabled: true,
      IsCustomizable: customizable,
      OwnershipType: table.columns.some((column) => column.logicalName === 'ownerid')
        ? 'UserOwned'
        : 'OrganizationOwned',
      TableType: 'Standard',
      Privileges: privilegesOf(table),
      ObjectTypeCode: 10_000 + [...model.tables.keys()].indexOf(table.logicalName),
      DataProviderId: null,
      DisplayName: label(table.displayName),
      Description: table.description === undefined ? noLabel : label(table.description),
      DisplayCollectionName: label(`${table.displayName}s`),
    },
    navigations: {
      Attributes: () => attributeItems(table),
      Keys: () => keyItems(table),
      ManyToManyRelationships: () => manyToManyItems(model, table),
      ManyToOneRelationships: () => lookupItems(model, (from) => from === table),
      OneToManyRelationships: () => lookupItems(model, (_, to) => to === table.logicalName),
    },
  };
}

/** Rows of an intersect table follow those of the two tables: it has no privileges of its own. */
function privilegesOf(table: Table) {
  if (table.intersect !== undefined) return [];
  return privilegeVerbs.map((verb) => {
    const name = privilegeName(verb, table);
    return {
      ...{ Name: name, PrivilegeId: metadataId(name), PrivilegeType: verb },
      ...{ CanBeBasic: true, CanBeLocal: true, CanBeDeep: true, CanBeGlobal: true },
    };
  });
}

function keyItems(table: Table): MetadataItem[] {
  return table.alternateKeys.map((key) => ({
    type: 'EntityKeyMetadata',
    properties: {
      MetadataId: metadataId(table.logicalName, key.name),
      LogicalName: key.name.toLowerCase(),
      SchemaName: key.name,
      EntityLogicalName: table.logicalName,
      KeyAttributes: key.columns,
      EntityKeyIndexStatus: indexStatus(key),
      IsManaged: false,
      DisplayName: label(key.name),
    },
    navigations: {},
  }));
}

function indexStatus(key: AlternateKey): string {
  if (!key.pendingReads) return key.failed ? 'Failed' : 'Active';
  key.pendingReads--;
  return 'Pending';
}

/** The N:N relationships of one table or of all tables. */
export function manyToManyItems(model: Model, table?: Table): MetadataItem[] {
  return [...model.tables.values()].flatMap((intersect) => {
    const ends = intersect.intersect?.ends;
    if (ends === undefined) return [];
    if (table !== undefined && !ends.some((end) => end.table === table.logicalName)) return [];
    const [one, two] = ends;
    const item: MetadataItem = {
      type: 'ManyToManyRelationshipMetadata',
      properties: {
        MetadataId: metadataId('relationship', intersect.logicalName),
        SchemaName: intersect.intersect!.relationship,
        RelationshipType: 'ManyToManyRelationship',
        IsCustomRelationship: intersect.logicalName.startsWith('new_'),
        IntersectEntityName: intersect.logicalName,
        Entity1LogicalName: one.table,
        Entity1IntersectAttribute: one.column,
        Entity1NavigationPropertyName: one.navigation,
        Entity2LogicalName: two.table,
        Entity2IntersectAttribute: two.column,
        Entity2NavigationPropertyName: two.navigation,
      },
      navigations: {},
    };
    return [item];
  });
}

/** The lookups between tables as one-to-many relationships. */
export function lookupItems(model: Model, wanted: (from: Table, to: string) => boolean): MetadataItem[] {
  const items: MetadataItem[] = [];
  for (const from of model.tables.values()) {
    for (const column of from.columns) {
      for (const target of column.targets ?? []) {
        if (!wanted(from, target.table)) continue;
        items.push({
          type: 'OneToManyRelationshipMetadata',
          properties: {
            MetadataId: metadataId('relationship', from.logicalName, target.navigation),
            SchemaName: target.relationship ?? `${from.logicalName}_${target.navigation}`.toLowerCase(),
            RelationshipType: 'OneToManyRelationship',
            ReferencingEntity: from.logicalName,
            ReferencingAttribute: column.logicalName,
            ReferencingEntityNavigationPropertyName: target.navigation,
            ReferencedEntity: target.table,
            ReferencedAttribute: target.referenced,
          },
          navigations: {},
        });
      }
    }
  }
  return items;
}

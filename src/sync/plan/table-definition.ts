import type { EntityDefinition } from '../../dataverse/metadata/entity-definitions.ts';
import type { TableDefinition } from '../../schema/table-from-csdl.ts';

/** What the table model needs of an entity definition. Tables without an entity set are not in the Web API. */
export function tableDefinition(definition: EntityDefinition): TableDefinition[] {
  const { logicalName, entitySetName, primaryIdAttribute, primaryNameAttribute } = definition;
  if (entitySetName === undefined) return [];
  return [
    {
      logicalName,
      entitySetName,
      primaryId: primaryIdAttribute,
      primaryName: primaryNameAttribute,
      changeTracking:
        definition.isIntersect && !definition.changeTrackingEnabled
          ? undefined
          : definition.changeTrackingEnabled,
      intersect: definition.isIntersect,
      elastic: definition.isElastic,
    },
  ];
}

import type { Row } from '../client/table-definition.ts';
import { type LabelText, label } from './definitions.ts';

/** A lookup to create: a column of one table that refers to rows of another (N:1). */
export interface NewLookup {
  /** The relationship, with the publisher's prefix: `new_account_project`. */
  schemaName: string;
  /** The table that gets the lookup: `new_project`. */
  from: string;
  /** The table that it refers to: `account`. */
  to: string;
  /** The column: `new_AccountId`. It is also the navigation property, case-sensitive. */
  column: { schemaName: string; displayName: LabelText; description?: LabelText | undefined };
  /** What happens to the rows that refer to a row which is deleted. @default 'RemoveLink' */
  onDelete?: 'RemoveLink' | 'Restrict' | 'Cascade' | undefined;
}

/** An N:N relationship to create. */
export interface NewManyToMany {
  /** With the publisher's prefix: `new_account_project`. It is also the navigation property on both sides. */
  schemaName: string;
  tables: readonly [string, string];
  /** The table that holds the connections. @default the schema name in lower case */
  intersectName?: string | undefined;
}

/** learn.microsoft.com: "Create and update table relationships using the Web API". */
export function lookupDefinition({ schemaName, from, to, column, onDelete }: NewLookup): Row {
  const none = 'NoCascade';
  return {
    '@odata.type': 'Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata',
    SchemaName: schemaName,
    ReferencedEntity: to,
    ReferencingEntity: from,
    CascadeConfiguration: {
      Assign: none,
      Delete: onDelete ?? 'RemoveLink',
      Merge: none,
      Reparent: none,
      Share: none,
      Unshare: none,
    },
    Lookup: {
      '@odata.type': 'Microsoft.Dynamics.CRM.LookupAttributeMetadata',
      SchemaName: column.schemaName,
      DisplayName: label(column.displayName),
      Description: label(column.description ?? ''),
    },
  };
}

/** The same page. */
export function manyToManyDefinition({ schemaName, tables, intersectName }: NewManyToMany): Row {
  const [one, two] = tables;
  return {
    '@odata.type': 'Microsoft.Dynamics.CRM.ManyToManyRelationshipMetadata',
    SchemaName: schemaName,
    IntersectEntityName: intersectName ?? schemaName.toLowerCase(),
    Entity1LogicalName: one,
    Entity1NavigationPropertyName: schemaName,
    Entity2LogicalName: two,
    Entity2NavigationPropertyName: schemaName,
  };
}

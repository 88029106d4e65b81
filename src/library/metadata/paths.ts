import { checkName as checkNameInternally } from '../../dataverse/read/query.ts';
import { toPublicError } from '../client/to-public-error.ts';

/** @throws UsageError for anything that could be more than a name in a URL */
function checkName(name: string, what: string): string {
  try {
    return checkNameInternally(name, what);
  } catch (error) {
    throw toPublicError(error);
  }
}

/** Where the definition of a table is; its columns and keys are below. */
export const tablePath = (logicalName: string) =>
  `EntityDefinitions(LogicalName='${checkName(logicalName, 'logical name')}')`;

export const columnPath = (table: string, column: string) =>
  `${tablePath(table)}/Attributes(LogicalName='${checkName(column, 'logical name')}')`;

export const keyPath = (table: string, key: string) =>
  `${tablePath(table)}/Keys(LogicalName='${checkName(key, 'logical name')}')`;

export const relationshipPath = (schemaName: string) =>
  `RelationshipDefinitions(SchemaName='${checkName(schemaName, 'schema name')}')`;

export const choicePath = (name: string) =>
  `GlobalOptionSetDefinitions(Name='${checkName(name, 'name of a choice')}')`;

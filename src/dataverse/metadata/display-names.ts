import { checkName } from '../read/query.ts';
import type { CallOptions } from '../transport/call.ts';
import { readObject } from '../transport/reply.ts';
import type { Transport } from '../transport/transport.ts';
import { labelOf, textIn } from './label.ts';

/** How a table or a column is called in the language of the user, and whether writes accept it. */
export interface DisplayName {
  logicalName: string;
  displayName: string | undefined;
  description: string | undefined;
  /** Whether a create or an update accepts it; undefined if Dataverse does not say. */
  isWritable: boolean | undefined;
}

/**
 * The display names of a table and its columns, with one request
 * (learn.microsoft.com: Query table definitions using the Web API; AttributeMetadata EntityType).
 * @throws like any request; a user may lack the right to read definitions
 */
export async function readDisplayNames(
  transport: Transport,
  table: string,
  options: CallOptions = {},
): Promise<{ table: DisplayName; columns: DisplayName[] }> {
  const columns = 'LogicalName,DisplayName,Description,IsValidForCreate,IsValidForUpdate';
  const definition = await transport.send(
    {
      ...options,
      operation: `read the names of ${table}`,
      entitySet: 'EntityDefinitions',
      url: `EntityDefinitions(LogicalName='${checkName(table, 'logical name')}')?$select=LogicalName,DisplayName,Description&$expand=Attributes($select=${columns})`,
    },
    readObject,
  );
  const { Attributes: attributes } = definition;
  const rows = Array.isArray(attributes) ? (attributes as Record<string, unknown>[]) : [];
  return { table: nameOf(definition), columns: rows.map(nameOf) };
}

function nameOf(row: Record<string, unknown>): DisplayName {
  const { LogicalName, DisplayName, Description, IsValidForCreate, IsValidForUpdate } = row;
  const isKnown = typeof IsValidForCreate === 'boolean' && typeof IsValidForUpdate === 'boolean';
  return {
    logicalName: String(LogicalName ?? ''),
    displayName: textIn(labelOf(DisplayName)),
    description: textIn(labelOf(Description)),
    isWritable: isKnown ? IsValidForCreate || IsValidForUpdate : undefined,
  };
}

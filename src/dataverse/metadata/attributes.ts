import { dataverseFault } from '../errors/errors.ts';
import { checkName } from '../read/query.ts';
import type { CallOptions } from '../transport/call.ts';
import { readList } from '../transport/reply.ts';
import type { Transport } from '../transport/transport.ts';
import { type Label, labelOf } from './label.ts';

/** An attribute of a table, which is a column of it. */
export interface Attribute {
  /** `new_age`; the property of a lookup is `_new_age_value`. */
  logicalName: string;
  /** Another one after the column was deleted and created again. */
  metadataId: string | undefined;
  /**
   * Why its value changes without a new version of its row; undefined if it does not. Calculated and formula columns are evaluated when a row is read, rollup columns are written by a job, and a secured
   * column is empty until the user may read it.
   */
  unversioned: 'calculated' | 'rollup' | 'formula' | 'secured' | undefined;
  displayName: Label | undefined;
  description: Label | undefined;
}

/** learn.microsoft.com: AttributeMetadata EntityType, `SourceType`, which is a property of the base type. */
const kinds = new Map<unknown, Attribute['unversioned']>([
  [1, 'calculated'],
  [2, 'rollup'],
  [3, 'formula'],
]);

export interface AttributeOptions extends CallOptions {
  /** The only language whose texts are wanted. @default all */
  language?: number | undefined;
  /** Whether display names and descriptions are wanted. @default true */
  labels?: boolean;
}

/**
 * Reads the attributes of a table with one request: Dataverse does not page attributes. It takes no filter that all versions of the service know, and an entry has about 400 bytes, and 400 more for each language of its texts. `LabelLanguages` limits these
 * (learn.microsoft.com: Query table definitions using the Web API, "Limit languages returned").
 * @throws like any request; a user may lack the right to read definitions
 */
export async function readAttributes(
  transport: Transport,
  table: string,
  { language, labels = true, ...options }: AttributeOptions = {},
): Promise<Attribute[]> {
  const select = `LogicalName,MetadataId,SourceType,IsSecured${labels ? ',DisplayName,Description' : ''}`;
  const url = `EntityDefinitions(LogicalName='${checkName(table, 'logical name')}')/Attributes?$select=${select}`;
  const read = (query: string) => {
    const call = {
      ...options,
      operation: `read the attributes of ${table}`,
      entitySet: 'EntityDefinitions',
      url: `${url}${query}`,
    };
    return transport.send(call, readList);
  };
  const isLimited = labels && language !== undefined;
  const rows = await read(isLimited ? `&LabelLanguages=${language}` : '').catch((error) => {
    // Another version of the service may not know the parameter.
    if (!isLimited || dataverseFault(error)?.status !== 400) throw error;
    return read('');
  });
  return rows.flatMap(({ LogicalName, MetadataId, SourceType, IsSecured, DisplayName, Description }) => {
    if (typeof LogicalName !== 'string') return [];
    return {
      logicalName: LogicalName,
      metadataId: typeof MetadataId === 'string' ? MetadataId : undefined,
      unversioned: kinds.get(SourceType) ?? (IsSecured === true ? 'secured' : undefined),
      displayName: labelOf(DisplayName, language),
      description: labelOf(Description, language),
    };
  });
}

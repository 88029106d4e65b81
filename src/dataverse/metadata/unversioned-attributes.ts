import { checkName } from '../read/query.ts';
import type { CallOptions } from '../transport/call.ts';
import { readList } from '../transport/reply.ts';
import type { Transport } from '../transport/transport.ts';

/** An attribute whose value changes without a new version of its row. */
export interface UnversionedAttribute {
  /** `new_age`; the property of a lookup is `_new_age_value`. */
  logicalName: string;
  /**
   * Calculated and formula columns are evaluated when a row is read, rollup columns are written by a job, and a secured
   * column is empty until the user may read it.
   */
  kind: 'calculated' | 'rollup' | 'formula' | 'secured';
}

/** learn.microsoft.com: AttributeMetadata EntityType, `SourceType`, which is a property of the base type. */
const kinds = new Map<unknown, UnversionedAttribute['kind']>([
  [1, 'calculated'],
  [2, 'rollup'],
  [3, 'formula'],
]);

/**
 * Reads which attributes of a table change their values without a new row version, with one request: Dataverse does not
 * page attributes. It takes no filter that all versions of the service know, and an entry has some hundred bytes.
 * @throws like any request; a user may lack the right to read definitions
 */
export async function readUnversionedAttributes(
  transport: Transport,
  table: string,
  options: CallOptions = {},
): Promise<UnversionedAttribute[]> {
  const rows = await transport.send(
    {
      ...options,
      operation: `read the attributes of ${table}`,
      entitySet: 'EntityDefinitions',
      url: `EntityDefinitions(LogicalName='${checkName(table, 'logical name')}')/Attributes?$select=LogicalName,SourceType,IsSecured`,
    },
    readList,
  );
  return rows.flatMap(({ LogicalName: logicalName, SourceType: source, IsSecured: isSecured }) => {
    const kind = kinds.get(source) ?? (isSecured === true ? 'secured' : undefined);
    return typeof logicalName === 'string' && kind !== undefined ? [{ logicalName, kind }] : [];
  });
}

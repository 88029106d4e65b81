import type { DataverseClient } from '../../../dataverse/client.ts';
import { type UnversionedKind, unversionedProperties } from '../../../dataverse/metadata/unversioned.ts';
import { describeError } from '../../../errors.ts';
import type { Column } from '../../../schema/table.ts';

/** Why values of columns may differ in the same version of a row, or why that cannot be told. */
export type ColumnKinds =
  | { kindOf: (column: Column) => UnversionedKind | undefined; error?: never }
  | { kindOf?: never; error: string };

/** How long the attributes of a table may take, in milliseconds. */
const limit = 120_000;

/**
 * Reads from the definition of a table as it is now which columns are calculated or secured. The mirror has marks of both
 * kinds together, and has none if a sync could not read the definitions.
 */
export async function readColumnKinds(dataverse: DataverseClient, table: string): Promise<ColumnKinds> {
  try {
    const kinds = unversionedProperties(
      await dataverse.readAttributes(table, { labels: false, signal: AbortSignal.timeout(limit) }),
    );
    // The target table of a lookup is an annotation of its property.
    return { kindOf: ({ property = '' }) => kinds.get(property.split('@')[0]!) };
  } catch (error) {
    return { error: describeError(error).message };
  }
}

import { SkipTableError } from '../../errors.ts';
import type { Table } from '../../schema/table.ts';
import type { SliceStart } from '../documents/slice.ts';

/** `Edm.DateTimeOffset` as OData writes it. */
const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)$/;

/**
 * The greatest modifiedon of a slice, by which the next run may read. Other strategies than `modifiedon` do without it.
 * @throws SkipTableError if it is not a time, and the table is read by it
 */
export function checkModifiedOn(
  greatest: string | undefined,
  { logicalName, modifiedOnColumn }: Table,
  { strategy }: SliceStart,
): string | undefined {
  if (greatest === undefined || (time.test(greatest) && !Number.isNaN(Date.parse(greatest)))) return greatest;
  if (strategy !== 'modifiedon') return undefined;
  throw new SkipTableError(
    `Table ${logicalName} cannot be read by ${modifiedOnColumn}: a row has a value there that is not a time.`,
    {
      object: logicalName,
      hint: `Correct the row in Dataverse, or set "strategy": "full" for ${logicalName} in entities.json.`,
    },
  );
}

import { countLimit, countMatching } from '../../dataverse/read/count.ts';
import { parseRows } from '../../dataverse/read/page.ts';
import { followPages } from '../../dataverse/read/read-pages.ts';
import type { CallOptions } from '../../dataverse/transport/call.ts';
import type { Transport } from '../../dataverse/transport/transport.ts';
import type { AnyTableDefinition } from '../client/table-definition.ts';

/** The exact number of rows that match. */
export async function countRows(
  transport: Transport,
  { entitySet, primaryId }: AnyTableDefinition,
  filter: string | undefined,
  options: CallOptions,
): Promise<number> {
  const limited = await countMatching(transport, entitySet, filter, options);
  if (limited < countLimit) return limited;
  let rows = 0;
  for await (const page of followPages(transport, { entitySet, filter, select: [primaryId] }, options)) {
    rows += parseRows(page).length;
  }
  return rows;
}

import type { CallOptions } from '../transport/call.ts';
import type { Transport } from '../transport/transport.ts';
import type { RowReference } from './query.ts';
import { readRow } from './read-row.ts';

/** The name of the file in a file column: the column's name with `_name`. Undefined if it is empty. */
export async function readFileName(
  transport: Transport,
  { entitySet, id, column }: RowReference & { column: string },
  options: CallOptions = {},
): Promise<string | undefined> {
  const row = await readRow(transport, entitySet, id, { ...options, select: [`${column}_name`] });
  const name = row?.[`${column}_name`];
  return typeof name === 'string' ? name : undefined;
}

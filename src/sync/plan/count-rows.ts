import type { CallOptions } from '../../dataverse/client.ts';
import { parseCount } from '../../dataverse/read/count.ts';
import { describeForLog } from '../../errors.ts';
import type { SyncServices } from '../documents/services.ts';

/**
 * Dataverse's own count of the rows of some tables, with one request for all of them. A count is exact below 5,000 rows
 * (learn.microsoft.com: "Count rows using Web API"); tables with more, and those that Dataverse does not count, are left
 * out.
 * @param entitySets by logical name
 * @returns the counts by logical name; none if the request fails: they only tell early what the next comparison finds
 */
export async function countRows(
  services: SyncServices,
  entitySets: ReadonlyMap<string, string>,
  options: CallOptions,
): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  const items = [...entitySets.values()].map((entitySet) => ({
    method: 'GET' as const,
    path: `${entitySet}/$count`,
    headers: { Accept: 'text/plain' },
  }));
  try {
    const replies = await services.dataverse.batch(items, { ...options, continueOnError: true });
    for (const [index, name] of [...entitySets.keys()].entries()) {
      const reply = replies[index];
      if (reply === undefined || Array.isArray(reply) || reply.error !== undefined) continue;
      const count = parseCount(reply.body);
      if (count !== undefined) counts.set(name, count);
    }
  } catch (error) {
    const text = `Dataverse did not count rows. Deletes show when all keys are compared: ${describeForLog(error)}`;
    services.telemetry.log('info', text, {});
  }
  return counts;
}

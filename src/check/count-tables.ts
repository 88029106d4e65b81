import type { DataverseClient } from '../dataverse/client.ts';
import { dataverseFault } from '../dataverse/errors/errors.ts';
import { encodeValue } from '../dataverse/read/query.ts';
import { readObject } from '../dataverse/transport/reply.ts';
import type { Table } from '../schema/table.ts';
import { forEachConcurrently } from '../storage/for-each-concurrently.ts';

/** Requests at the same time. */
const concurrency = 8;

/**
 * How many rows tables have, by logical name. Tables that Dataverse does not count are left out.
 * Those that Dataverse does not keep a count for are counted, up to 5,000, if their entity set is given.
 * The counts are those that Dataverse keeps, which may be a day old (learn.microsoft.com: RetrieveTotalRecordCount function).
 */
export async function countTables(
  dataverse: DataverseClient,
  tables: readonly (Pick<Table, 'logicalName'> & Partial<Pick<Table, 'entitySet' | 'name'>>)[],
  signal: AbortSignal,
): Promise<Map<string, number>> {
  const names = tables.map(({ logicalName }) => logicalName);
  if (names.length === 0) return new Map();
  const all = await totalCounts(dataverse, names, signal);
  if (all !== undefined) return all;
  // One table that it does not count fails the request for all.
  const counts = new Map<string, number>();
  await forEachConcurrently(tables, concurrency, async ({ logicalName, entitySet, name }) => {
    const own = (await totalCounts(dataverse, [logicalName], signal))?.get(logicalName);
    const set = entitySet ?? name;
    const count =
      own ??
      (set === undefined
        ? undefined
        : await dataverse.count(set, { signal }).catch(unlessRefused(undefined)));
    if (count !== undefined) counts.set(logicalName, count);
  });
  return counts;
}

/** @returns undefined if Dataverse rejects the request */
async function totalCounts(
  dataverse: DataverseClient,
  names: readonly string[],
  signal: AbortSignal,
): Promise<Map<string, number> | undefined> {
  const url = `RetrieveTotalRecordCount(EntityNames=@p1)?@p1=${encodeValue(JSON.stringify(names))}`;
  const reply = await dataverse
    .request({ operation: 'count the rows of tables', url, signal })
    .catch(unlessRefused(undefined));
  if (reply === undefined) return undefined;
  const { EntityRecordCountCollection: counts } = readObject(reply);
  const { Keys: keys, Values: values } = Object(counts) as { Keys?: unknown; Values?: unknown };
  if (!Array.isArray(keys) || !Array.isArray(values)) return undefined;
  return new Map(
    keys.flatMap((key, at) => {
      const count = Number(values[at]);
      return names.includes(key) && Number.isSafeInteger(count) && count >= 0 ? [[String(key), count]] : [];
    }),
  );
}

/** For `catch`: the value if Dataverse answered with a fault. Other errors are thrown. */
function unlessRefused<T>(value: T): (error: unknown) => T {
  return (error) => {
    if (dataverseFault(error) === undefined) throw error;
    return value;
  };
}

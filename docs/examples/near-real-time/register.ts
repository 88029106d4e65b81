import { type Dataverse, defineTable, reference } from 'dataverse-sqlite-sync/dataverse';

const table = (logicalName: string) =>
  defineTable({ logicalName, entitySet: `${logicalName}s`, primaryId: `${logicalName}id` });
const endpoints = table('serviceendpoint');
const filters = table('sdkmessagefilter');
const processingSteps = table('sdkmessageprocessingstep');

/**
 * The rows that register a webhook of the type `WebhookKey`, and a step for each table and message
 * (learn.microsoft.com: Register a webhook; ServiceEndpoint table reference). Steps run asynchronously after the commit.
 */
export function registration(url: string, functionKey: string, tables: readonly string[]) {
  const endpoint = { name: 'SQLite mirror', url, contract: 8, authtype: 4, authvalue: functionKey };
  const steps = tables.flatMap((table) =>
    ['Create', 'Update', 'Delete'].map((message) => ({ table, message })),
  );
  return { endpoint, steps };
}

/** Registers the webhook. The user needs the role System Customizer or more. */
export async function register(
  dataverse: Dataverse,
  { endpoint, steps }: ReturnType<typeof registration>,
): Promise<void> {
  const id = await dataverse.table(endpoints).create(endpoint);
  for (const { table, message } of steps) {
    const filter = await dataverse
      .table(filters)
      .query()
      .select('sdkmessagefilterid', '_sdkmessageid_value')
      .where((f) => f.and(f.eq('primaryobjecttypecode', table), f.eq('sdkmessageid/name', message)))
      .first();
    if (filter === undefined) throw new Error(`Dataverse has no message ${message} of ${table}.`);
    await dataverse.table(processingSteps).create({
      name: `SQLite mirror: ${message} of ${table}`,
      // After the commit, by the asynchronous service, which deletes its job when it succeeded.
      ...{ stage: 40, mode: 1, rank: 1, supporteddeployment: 0, asyncautodelete: true },
      eventhandler_serviceendpoint: reference('serviceendpoints', id),
      sdkmessageid: reference('sdkmessages', String(filter['_sdkmessageid_value'])),
      sdkmessagefilterid: reference('sdkmessagefilters', String(filter['sdkmessagefilterid'])),
    });
  }
}

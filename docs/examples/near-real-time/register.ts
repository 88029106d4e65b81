import { createHash } from 'node:crypto';
import { type Dataverse, defineTable, reference } from 'dataverse-sqlite-sync/dataverse';

const table = (logicalName: string) =>
  defineTable({ logicalName, entitySet: `${logicalName}s`, primaryId: `${logicalName}id` });
const endpoints = table('serviceendpoint');
const messages = table('sdkmessage');
const filters = table('sdkmessagefilter');
const processingSteps = table('sdkmessageprocessingstep');

export interface RegistrationOptions {
  /** The address of `POST /api/changes`. */
  url: string;
  functionKey: string;
  /** Logical names of the tables whose rows are created, updated and deleted. */
  tables: readonly string[];
  /** Also links between rows, of any table: for mirrors with N:N tables. */
  links?: boolean;
}

/**
 * The rows that register a webhook of the type `WebhookKey`, and a step for each table and message
 * (learn.microsoft.com: Register a webhook; ServiceEndpoint table reference). Steps run asynchronously after the commit. All ids
 * follow from the address, so that a repeated registration writes the same rows.
 */
export function registration({ url, functionKey, tables, links = false }: RegistrationOptions) {
  const endpoint = { name: 'SQLite mirror', url, contract: 8, authtype: 4, authvalue: functionKey };
  const ofRows = tables.flatMap((name) =>
    ['Create', 'Update', 'Delete'].map((message) => ({ message, table: name as string | undefined })),
  );
  // They have no table: Dataverse sends a message for every link in the environment.
  const ofLinks = links
    ? ['Associate', 'Disassociate'].map((message) => ({ message, table: undefined }))
    : [];
  const steps = [...ofRows, ...ofLinks].map((step) => ({
    ...step,
    id: idOf(`${url} ${step.message} ${step.table ?? ''}`),
    name: `SQLite mirror: ${step.message}${step.table === undefined ? '' : ` of ${step.table}`}`,
  }));
  return { id: idOf(url), endpoint, steps };
}

export type Registration = ReturnType<typeof registration>;

function idOf(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** Registers the webhook, or writes the same rows again. The user needs the role System Customizer or more. */
export async function register(dataverse: Dataverse, { id, endpoint, steps }: Registration): Promise<void> {
  await dataverse.table(endpoints).upsert(id, endpoint);
  for (const step of steps) {
    await dataverse.table(processingSteps).upsert(step.id, {
      name: step.name,
      // After the commit, by the asynchronous service, which deletes its job when it succeeded.
      ...{ stage: 40, mode: 1, rank: 1, supporteddeployment: 0, asyncautodelete: true },
      eventhandler_serviceendpoint: reference('serviceendpoints', id),
      ...(await messageOf(dataverse, step)),
    });
  }
}

/** The lookups of a step to its message, and to that of its table. */
async function messageOf(
  dataverse: Dataverse,
  { message, table: name }: { message: string; table: string | undefined },
) {
  if (name === undefined) {
    const row = await dataverse
      .table(messages)
      .query()
      .select('sdkmessageid')
      .where((f) => f.eq('name', message))
      .first();
    if (row === undefined) throw new Error(`Dataverse has no message ${message}.`);
    return { sdkmessageid: reference('sdkmessages', String(row['sdkmessageid'])) };
  }
  const row = await dataverse
    .table(filters)
    .query()
    .select('sdkmessagefilterid', '_sdkmessageid_value')
    .where((f) => f.and(f.eq('primaryobjecttypecode', name), f.eq('sdkmessageid/name', message)))
    .first();
  if (row === undefined) throw new Error(`Dataverse has no message ${message} of ${name}.`);
  return {
    sdkmessageid: reference('sdkmessages', String(row['_sdkmessageid_value'])),
    sdkmessagefilterid: reference('sdkmessagefilters', String(row['sdkmessagefilterid'])),
  };
}

/** Deletes the webhook and all its steps, also those of tables that were registered earlier. */
export async function unregister(dataverse: Dataverse, { id }: Registration): Promise<number> {
  const table = dataverse.table(processingSteps);
  const steps = await table
    .query()
    .select('sdkmessageprocessingstepid')
    .where((f) => f.eq('_eventhandler_value', id))
    .toArray();
  for (const step of steps) await table.delete(String(step['sdkmessageprocessingstepid']));
  await dataverse.table(endpoints).delete(id);
  return steps.length;
}

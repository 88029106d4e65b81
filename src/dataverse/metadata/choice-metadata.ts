import { RetriableError } from '../../errors.ts';
import { dataverseFault } from '../errors/errors.ts';
import { checkName } from '../read/query.ts';
import { type Row, readList } from '../transport/json-reply.ts';
import type { CallOptions, Transport } from '../transport/transport.ts';
import { type BatchRequest, batch } from '../write/batch.ts';

/**
 * The kinds of columns that have labels. There is no cast to the type above them all
 * (learn.microsoft.com: Query table definitions using the Web API).
 */
const kinds = ['Picklist', 'MultiSelectPicklist', 'State', 'Status', 'Boolean'] as const;

/** Answers with every label in every language are large: a batch of twenty tables stays well below its limits. */
const tablesPerBatch = 20;

export interface ChoiceMetadata {
  /** The choice columns of each table, as Dataverse describes them: `LogicalName`, `OptionSet`, `GlobalOptionSet`. */
  columns: { table: string; definitions: Row[] }[];
  /** Tables whose columns could not be asked about, with the reason. */
  refused: { table: string; error: Error }[];
}

/**
 * Reads choice columns from the tables' own definitions: for a service without a string map. Five questions a table, of
 * twenty tables in one request; one by one where the service takes no batches.
 * @throws RetriableError where the service could not be reached
 */
export async function readChoiceMetadata(
  transport: Transport,
  tables: readonly string[],
  options: CallOptions = {},
): Promise<ChoiceMetadata> {
  const result: ChoiceMetadata = { columns: [], refused: [] };
  for (let start = 0; start < tables.length; start += tablesPerBatch) {
    const some = tables.slice(start, start + tablesPerBatch);
    const answers = await ask(transport, some.flatMap(questionsOf), options);
    for (const [index, table] of some.entries()) {
      const own = answers.slice(index * kinds.length, (index + 1) * kinds.length);
      const errors = own.filter((answer) => answer instanceof Error);
      // A service may lack one kind of column; one that refuses all of them refuses the table.
      if (errors.length === kinds.length) result.refused.push({ table, error: errors[0]! });
      const definitions = own.flatMap((answer) => (answer instanceof Error ? [] : answer));
      result.columns.push({ table, definitions });
    }
  }
  return result;
}

function questionsOf(table: string): string[] {
  const attributes = `EntityDefinitions(LogicalName='${checkName(table, 'logical name')}')/Attributes`;
  return kinds.map(
    (kind) =>
      `${attributes}/Microsoft.Dynamics.CRM.${kind}AttributeMetadata?$select=LogicalName&$expand=OptionSet,GlobalOptionSet`,
  );
}

/** The answers' lists, in order; an error where the service refuses a question. */
async function ask(
  transport: Transport,
  paths: readonly string[],
  options: CallOptions,
): Promise<(Row[] | Error)[]> {
  const requests = paths.map((path): BatchRequest => ({ method: 'GET', path }));
  try {
    const answers = (await batch(transport, requests, { ...options, continueOnError: true })).flat();
    const passing = answers.find((answer) => answer?.error instanceof RetriableError)?.error;
    if (passing !== undefined) throw passing;
    if (!answers.includes(undefined)) return answers.map((answer) => answer!.error ?? readList(answer!));
  } catch (error) {
    const fault = dataverseFault(error);
    if (fault === undefined || fault.transient) throw error;
  }
  return askOneByOne(transport, paths, options);
}

/** How many tables must refuse every question before the others are not asked: one alone may be special. */
const tablesToTry = 2;

async function askOneByOne(
  transport: Transport,
  paths: readonly string[],
  options: CallOptions,
): Promise<(Row[] | Error)[]> {
  const askAll = (some: readonly string[]) =>
    Promise.all(some.map((path) => askOne(transport, path, options)));
  const first = await askAll(paths.slice(0, tablesToTry * kinds.length));
  const others = paths.slice(first.length);
  const refusal = first.find((answer) => answer instanceof Error);
  // A service that knows no such question is not asked it again for each table in each run.
  if (refusal !== undefined && first.every((answer) => answer instanceof Error)) {
    return [...first, ...others.map(() => refusal)];
  }
  return [...first, ...(await askAll(others))];
}

async function askOne(transport: Transport, url: string, options: CallOptions): Promise<Row[] | Error> {
  const named = { operation: 'read the labels of a table', entity: 'EntityDefinitions' };
  try {
    return await transport.send({ ...options, ...named, url }, readList);
  } catch (error) {
    if (error instanceof RetriableError || !(error instanceof Error) || !dataverseFault(error)) throw error;
    return error;
  }
}

import { RetriableError } from '../errors.ts';
import { type BatchRequest, batch } from './batch.ts';
import type { Choice } from './choices.ts';
import { dataverseFault } from './errors.ts';
import { checkName } from './query.ts';
import { type Call, type CallOptions, type Transport, unreadable } from './transport.ts';

/**
 * The kinds of columns that have labels. There is no cast to the type above them all
 * (learn.microsoft.com: Query table definitions using the Web API).
 */
const kinds = ['Picklist', 'MultiSelectPicklist', 'State', 'Status', 'Boolean'] as const;

/** Answers with every label in every language are large: a batch of twenty tables stays well below its limits. */
const tablesPerBatch = 20;

export interface ChoiceMetadata {
  choices: Choice[];
  /** Tables whose columns could not be asked about, with the reason. */
  refused: { table: string; error: Error }[];
}

/**
 * Reads labels from the tables' own definitions: for a service without a string map. Five questions a table, of twenty
 * tables in one request; one by one where the service takes no batches.
 * @throws RetriableError where the service could not be reached
 */
export async function readChoiceMetadata(
  transport: Transport,
  tables: readonly string[],
  options: CallOptions = {},
): Promise<ChoiceMetadata> {
  const result: ChoiceMetadata = { choices: [], refused: [] };
  for (let start = 0; start < tables.length; start += tablesPerBatch) {
    const some = tables.slice(start, start + tablesPerBatch);
    const answers = await ask(transport, some.flatMap(questionsOf), options);
    for (const [index, table] of some.entries()) {
      const own = answers.slice(index * kinds.length, (index + 1) * kinds.length);
      const errors = own.filter((answer) => answer instanceof Error);
      // A service may lack one kind of column; one that refuses all of them refuses the table.
      if (errors.length === kinds.length) result.refused.push({ table, error: errors[0]! });
      for (const answer of own) {
        if (!(answer instanceof Error)) result.choices.push(...choicesOf(table, answer));
      }
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

/** The answers' bodies, in order; an error where the service refuses a question. */
async function ask(
  transport: Transport,
  paths: readonly string[],
  options: CallOptions,
): Promise<(Buffer | Error)[]> {
  const requests = paths.map((path): BatchRequest => ({ method: 'GET', path }));
  try {
    const answers = await batch(transport, requests, { ...options, continueOnError: true });
    const single = answers.flat();
    if (single.length === paths.length && single.every((answer) => answer !== undefined)) {
      const passing = single.find(({ error }) => error instanceof RetriableError)?.error;
      if (passing !== undefined) throw passing;
      return single.map(({ body, error }) => error ?? body);
    }
  } catch (error) {
    const fault = dataverseFault(error);
    if (fault === undefined || fault.transient) throw error;
  }
  return Promise.all(paths.map((path) => askOne(transport, path, options)));
}

async function askOne(transport: Transport, url: string, options: CallOptions): Promise<Buffer | Error> {
  const call: Call = {
    ...options,
    operation: 'read the labels of a table',
    entity: 'EntityDefinitions',
    url,
  };
  try {
    return await transport.send(call, (reply) => {
      if (!reply.body.includes('"value"')) throw unreadable(call, reply, 'it is no list of columns');
      return reply.body;
    });
  } catch (error) {
    if (error instanceof RetriableError || !(error instanceof Error) || !dataverseFault(error)) throw error;
    return error;
  }
}

interface OptionSet {
  Options?: Option[] | null;
  TrueOption?: Option | null;
  FalseOption?: Option | null;
}
interface Option {
  Value?: number | null;
  Label?: { LocalizedLabels?: { Label?: string; LanguageCode?: number }[] | null } | null;
}

function choicesOf(table: string, body: Buffer): Choice[] {
  let columns: { LogicalName?: unknown; OptionSet?: OptionSet | null; GlobalOptionSet?: OptionSet | null }[];
  try {
    columns = (JSON.parse(body.toString('utf8')) as { value: typeof columns }).value ?? [];
  } catch {
    throw new RetriableError('The labels of a table are no JSON', {
      operation: 'read labels',
      object: table,
    });
  }
  return columns.flatMap(({ LogicalName: column, OptionSet: own, GlobalOptionSet: shared }) =>
    typeof column === 'string'
      ? optionsOf(own ?? shared).flatMap(({ Value: value, Label: label }) => {
          if (typeof value !== 'number') return [];
          return (label?.LocalizedLabels ?? []).flatMap(
            ({ Label: text, LanguageCode: language }): Choice[] =>
              typeof text === 'string' && typeof language === 'number'
                ? [{ table, column, value, label: text, language }]
                : [],
          );
        })
      : [],
  );
}

function optionsOf(set: OptionSet | null | undefined): Option[] {
  return [...(set?.Options ?? []), set?.FalseOption, set?.TrueOption].filter(
    (option) => option !== null && option !== undefined,
  );
}

import { RetriableError } from '../../errors.ts';
import { dataverseFault } from '../errors/errors.ts';
import { checkName } from '../read/query.ts';
import type { CallOptions } from '../transport/call.ts';
import { type Row, readList, readObject } from '../transport/reply.ts';
import type { Transport } from '../transport/transport.ts';
import { type BatchRequest, batch } from '../write/batch.ts';

/**
 * The kinds of columns that have labels. A cast to their common base type is not possible
 * (learn.microsoft.com: Query table definitions using the Web API).
 */
const kinds = ['Picklist', 'MultiSelectPicklist', 'State', 'Status', 'Boolean'] as const;

/** Responses with every label in every language are large. A batch of twenty tables stays far below the limits. */
const tablesPerBatch = 20;

export interface ChoiceMetadata {
  /** The choice columns of each table as Dataverse defines them: `LogicalName`, `OptionSet`, `GlobalOptionSet`. */
  columns: { table: string; definitions: Row[] }[];
  /** Tables whose columns cannot be read, with the reason. */
  refused: { table: string; error: Error }[];
}

/**
 * Reads choice columns from the definitions of the tables, for a service without a string map. Each table takes
 * five queries. A batch contains the queries of twenty tables; a service without batches gets them one by one.
 * @throws RetriableError for a transient fault
 */
export async function readChoiceMetadata(
  transport: Transport,
  tables: readonly string[],
  options: CallOptions = {},
): Promise<ChoiceMetadata> {
  const result: ChoiceMetadata = { columns: [], refused: [] };
  for (let start = 0; start < tables.length; start += tablesPerBatch) {
    const some = tables.slice(start, start + tablesPerBatch);
    const results = await readAll(transport, some.flatMap(queriesOf), options);
    for (const [index, table] of some.entries()) {
      const own = results.slice(index * kinds.length, (index + 1) * kinds.length);
      const errors = own.filter((result) => result instanceof Error);
      // A service may lack one kind of column. If it rejects all kinds, it rejects the table.
      if (errors.length === kinds.length) result.refused.push({ table, error: errors[0]! });
      const definitions = own.flatMap((result) => (result instanceof Error ? [] : result));
      result.columns.push({ table, definitions });
    }
  }
  return result;
}

/**
 * Reads which columns of the tables are choices, without their labels: `$metadata` shows them as whole numbers and texts.
 * Tables that the service refuses are left out.
 * @returns the logical names of the columns by that of their table
 * @throws RetriableError for a transient fault
 */
export async function readChoiceColumns(
  transport: Transport,
  tables: readonly string[],
  options: CallOptions = {},
): Promise<Map<string, string[]>> {
  const columns = new Map<string, string[]>();
  const hidden = ['Picklist', 'MultiSelectPicklist'] as const;
  for (let start = 0; start < tables.length; start += tablesPerBatch) {
    const some = tables.slice(start, start + tablesPerBatch);
    const paths = some.flatMap((table) =>
      hidden.map((kind) => `${columnsPath(table, kind)}?$select=LogicalName`),
    );
    const results = await readAll(transport, paths, options, hidden.length);
    for (const [index, table] of some.entries()) {
      const own = results.slice(index * hidden.length, (index + 1) * hidden.length);
      const rows = own.flatMap((result) => (result instanceof Error ? [] : result));
      columns.set(
        table,
        rows.map((row) => String(row['LogicalName'])),
      );
    }
  }
  return columns;
}

/**
 * Reads global choices by name, with their labels (learn.microsoft.com: Query table definitions using the Web API).
 * Those that the service refuses are left out.
 * @throws RetriableError for a transient fault
 */
export async function readGlobalChoices(
  transport: Transport,
  names: readonly string[],
  options: CallOptions = {},
): Promise<Map<string, Row>> {
  const found = new Map<string, Row>();
  for (const name of names) {
    const url = `GlobalOptionSetDefinitions(Name='${checkName(name, 'name of a global choice')}')`;
    const named = { operation: 'read a global choice', entitySet: 'GlobalOptionSetDefinitions' };
    try {
      found.set(name, await transport.send({ ...options, ...named, url }, readObject));
    } catch (error) {
      if (error instanceof RetriableError || dataverseFault(error) === undefined) throw error;
    }
  }
  return found;
}

function queriesOf(table: string): string[] {
  return kinds.map(
    (kind) => `${columnsPath(table, kind)}?$select=LogicalName&$expand=OptionSet,GlobalOptionSet`,
  );
}

function columnsPath(table: string, kind: (typeof kinds)[number]): string {
  const attributes = `EntityDefinitions(LogicalName='${checkName(table, 'logical name')}')/Attributes`;
  return `${attributes}/Microsoft.Dynamics.CRM.${kind}AttributeMetadata`;
}

/** The lists of definitions in the order of the paths; an error for each query that the service rejects. */
async function readAll(
  transport: Transport,
  paths: readonly string[],
  options: CallOptions,
  perTable: number = kinds.length,
): Promise<(Row[] | Error)[]> {
  const requests = paths.map((path): BatchRequest => ({ method: 'GET', path }));
  try {
    const replies = (await batch(transport, requests, { ...options, continueOnError: true })).flat();
    const transient = replies.find((reply) => reply?.error instanceof RetriableError)?.error;
    if (transient !== undefined) throw transient;
    if (!replies.includes(undefined)) return replies.map((reply) => reply!.error ?? readList(reply!));
  } catch (error) {
    const fault = dataverseFault(error);
    if (fault === undefined || fault.transient) throw error;
  }
  return readOneByOne(transport, paths, options, perTable);
}

/** How many tables must reject every query before the rest is skipped: a single table may be special. */
const tablesToTry = 2;

async function readOneByOne(
  transport: Transport,
  paths: readonly string[],
  options: CallOptions,
  perTable: number,
): Promise<(Row[] | Error)[]> {
  const readEach = (some: readonly string[]) =>
    Promise.all(some.map((path) => readOne(transport, path, options)));
  const first = await readEach(paths.slice(0, tablesToTry * perTable));
  const others = paths.slice(first.length);
  const rejection = first.find((result) => result instanceof Error);
  // A service that does not support these queries must not get them for each table in each run.
  if (rejection !== undefined && first.every((result) => result instanceof Error)) {
    return [...first, ...others.map(() => rejection)];
  }
  return [...first, ...(await readEach(others))];
}

async function readOne(transport: Transport, url: string, options: CallOptions): Promise<Row[] | Error> {
  const named = { operation: 'read the labels of a table', entitySet: 'EntityDefinitions' };
  try {
    return await transport.send({ ...options, ...named, url }, readList);
  } catch (error) {
    if (error instanceof RetriableError || !(error instanceof Error) || !dataverseFault(error)) throw error;
    return error;
  }
}

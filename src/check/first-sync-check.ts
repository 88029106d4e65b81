import type { TableConfig } from '../config/entities.ts';
import type { DataverseClient } from '../dataverse/client.ts';
import { SyncError } from '../errors.ts';
import { parseCsdl } from '../schema/csdl.ts';
import type { Table } from '../schema/table.ts';
import { resolveTables } from '../schema/tables-from-csdl.ts';
import { forEachConcurrently } from '../storage/for-each-concurrently.ts';
import { pageSizeFor, rowsQuery } from '../sync/fetch/slice-queries.ts';
import { readDefinitions } from '../sync/plan/read-definitions.ts';
import { tableDefinition } from '../sync/plan/table-definition.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { type Check, failed, type PendingCheck } from './check.ts';
import { countTables } from './count-tables.ts';

/** Rows that show that a table can be read, and how heavy its rows are. */
const sampleRows = 50;
/** Requests at the same time. */
const concurrency = 8;

/** What a first sync of a table reads. `rows` is undefined if Dataverse does not count the table. */
interface Expected {
  rows: number | undefined;
  requests: number;
  bytes: number;
}

/**
 * Reads a few rows of each table with the query of a sync, and says how many rows, requests and bytes a first sync takes.
 * The counts are those that Dataverse keeps, which may be a day old (learn.microsoft.com: RetrieveTotalRecordCount function).
 * @param pageSize rows per page, as configured
 */
export function firstSyncCheck(
  dataverse: DataverseClient,
  configs: readonly TableConfig[],
  { pageSize, telemetry }: { pageSize: number; telemetry: Telemetry },
): PendingCheck {
  return {
    name: 'first sync',
    run: async (signal) => {
      const [{ definitions }, document] = await Promise.all([
        readDefinitions({ dataverse, telemetry }),
        dataverse.readMetadataDocument({ signal }),
      ]);
      if (document === 'unchanged') throw new Error('The metadata document was not asked for conditionally.');
      const requests = configs.map(({ name, columns }) => ({ logicalName: name, columns }));
      const known = definitions.flatMap(tableDefinition);
      const { tables, failures } = resolveTables(parseCsdl(document.document), known, requests);
      const checks = new Map<string, Check>(
        failures.map(({ logicalName, error }) => [logicalName, readCheck(logicalName, failed(error))]),
      );
      const configOf = new Map(configs.map((config) => [config.name, config]));
      const whole = tables.filter(({ logicalName }) => configOf.get(logicalName)?.filtered === false);
      const counts = await countTables(dataverse, whole, signal);
      const expected: Expected[] = [];
      await forEachConcurrently(tables, concurrency, async (table) => {
        const config = configOf.get(table.logicalName)!;
        try {
          const sample = await readSample(dataverse, table, config, signal);
          const counted = counts.get(table.logicalName);
          // A count that is a day old may lack rows.
          const rows = counted === undefined ? undefined : Math.max(counted, sample.rows);
          if (!config.filtered) expected.push(expectedOf(table, rows, sample, pageSize));
          checks.set(table.logicalName, readCheck(table.logicalName, sampleFinding(table, config, rows)));
        } catch (error) {
          if (!(error instanceof SyncError)) throw error;
          checks.set(table.logicalName, readCheck(table.logicalName, failed(error)));
        }
      });
      return [
        ...configs.flatMap(({ name }) => checks.get(name) ?? []),
        { name: 'first sync', ...total(expected, tables.length - whole.length) },
      ];
    },
  };
}

const shown = (count: number): string => count.toLocaleString('en-US');

const readCheck = (table: string, finding: Omit<Check, 'name'>): Check => ({
  name: `read ${table}`,
  ...finding,
});

function sampleFinding(
  table: Table,
  { filtered }: TableConfig,
  rows: number | undefined,
): Omit<Check, 'name'> {
  const columns = `${table.columns.length} columns`;
  if (filtered)
    return { ok: true, detail: `Rows of ${columns} can be read; those that others refer to are.` };
  if (rows === undefined)
    return { ok: true, detail: `Rows of ${columns} can be read. Dataverse does not count them.` };
  return { ok: true, detail: `About ${shown(rows)} rows of ${columns} can be read.`, figures: { rows } };
}

async function readSample(
  dataverse: DataverseClient,
  table: Table,
  config: TableConfig,
  signal: AbortSignal,
): Promise<{ rows: number; rowBytes: number }> {
  const query = { ...rowsQuery(table, { config }, sampleRows), readAhead: false, release: false };
  for await (const page of dataverse.readPages(query, { signal })) {
    // The server may send fewer rows than asked for; each has its key.
    const text = page.body.toString('latin1', page.recordsStart, page.recordsEnd);
    const rows = text.split(`"${table.primaryKey}":`).length - 1;
    return { rows, rowBytes: rows === 0 ? 0 : text.length / rows };
  }
  return { rows: 0, rowBytes: 0 };
}

function expectedOf(
  table: Table,
  rows: number | undefined,
  { rowBytes }: { rowBytes: number },
  pageSize: number,
): Expected {
  const ofPage = pageSizeFor(table, pageSize, rowBytes);
  const requests = Math.max(1, Math.ceil((rows ?? 0) / ofPage));
  return { rows, requests, bytes: Math.round((rows ?? 0) * rowBytes) };
}

function total(expected: readonly Expected[], filtered: number): Omit<Check, 'name'> {
  const sum = (of: (one: Expected) => number) => expected.reduce((all, one) => all + of(one), 0);
  const rows = sum((one) => one.rows ?? 0);
  const requests = sum((one) => one.requests);
  const bytes = sum((one) => one.bytes);
  const uncounted = expected.filter((one) => one.rows === undefined).length;
  const besides = [
    ...(uncounted > 0 ? [`tables that Dataverse does not count: ${uncounted}`] : []),
    ...(filtered > 0 ? [`filtered tables, of which referenced rows are read: ${filtered}`] : []),
  ];
  const more = besides.length === 0 ? '' : ` Besides, ${besides.join('; ')}.`;
  return {
    ok: true,
    detail: `A first sync reads about ${shown(rows)} rows in ${shown(requests)} requests, ${(bytes / 1_000_000).toFixed(1)} MB of JSON before compression.${more}`,
    figures: { rows, requests, bytes },
  };
}

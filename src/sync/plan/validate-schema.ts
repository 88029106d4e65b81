import type { TableConfig } from '../../config/entities.ts';
import { SkipTableError } from '../../errors.ts';
import { compareSchemas } from '../../schema/compare.ts';
import { reportMarkdown, type SchemaReport, schemaReport } from '../../schema/report.ts';
import { unlessDamaged } from '../../storage/document-store.ts';
import { type State, tablesOf } from '../../target/state.ts';
import type { SyncServices } from '../documents/services.ts';
import type { LoadedCatalog } from './load-catalog.ts';

/** The schema report beside the database, for programs and for people. */
const schemaReportName = 'schema-report.json';
const schemaReportMarkdownName = 'schema-report.md';

/**
 * Compares the schema of Dataverse with that of the mirror before any row moves, and stores the report. A fault of one
 * table does not stop the others.
 * @returns the tables of which all rows must be read again, each with the reason
 */
export async function validateSchema(
  services: SyncServices,
  catalog: LoadedCatalog,
  state: State,
  configs: readonly TableConfig[],
  runId: string,
): Promise<Map<string, string>> {
  await storeReport(services, catalog, state, configs, runId);
  return findRereads(services, catalog, state, configs);
}

async function storeReport(
  services: SyncServices,
  catalog: LoadedCatalog,
  state: State,
  configs: readonly TableConfig[],
  runId: string,
): Promise<void> {
  const previous = await readSchemaReport(services);
  const generatedAt = services.now().toISOString();
  const failures = Object.entries(catalog.skipped).map(([logicalName, { error, hint }]) => ({
    logicalName,
    error: new SkipTableError(error, { hint }),
  }));
  const names = configs.map((config) => config.name);
  const findings = compareSchemas(tablesOf(state), Object.values(catalog.tables), names, {
    failures,
    previous: previous?.findings,
    now: generatedAt,
  });
  for (const finding of findings.filter(({ severity }) => severity !== 'info')) {
    const level = finding.severity === 'error' ? 'error' : 'warn';
    const { table, column, action } = finding;
    services.telemetry.log(level, `Schema of ${table}: ${finding.what}`, { runId, column, action });
  }
  // Where nothing changed, the report keeps the time of the run that made it.
  if (previous !== undefined && JSON.stringify(previous.findings) === JSON.stringify(findings)) return;
  const details = { generatedAt, dataverse: services.settings.dataverse.url, runId };
  await services.published.put(schemaReportName, schemaReport(findings, details));
  await services.published.putText(
    schemaReportMarkdownName,
    reportMarkdown(findings, details),
    'text/markdown; charset=utf-8',
  );
}

/** The latest report; undefined before the first run, and if the file is damaged: the next run writes it again. */
export async function readSchemaReport(services: SyncServices): Promise<SchemaReport | undefined> {
  const found = await unlessDamaged(services.published.read<SchemaReport>(schemaReportName));
  return isSchemaReport(found?.value) ? found.value : undefined;
}

function isSchemaReport(value: unknown): value is SchemaReport {
  const { findings } = Object(value) as { findings?: unknown };
  if (!Array.isArray(findings)) return false;
  return findings.every((finding) =>
    ['severity', 'kind', 'table', 'what'].every((name) => typeof Object(finding)[name] === 'string'),
  );
}

/** The latest report for people. */
export async function readSchemaReportMarkdown(services: SyncServices): Promise<string | undefined> {
  return (await services.published.getBytes(schemaReportMarkdownName))?.toString();
}

function findRereads(
  services: SyncServices,
  catalog: LoadedCatalog,
  state: State,
  configs: readonly TableConfig[],
): Map<string, string> {
  const rereads = new Map<string, string>();
  const synced = Object.values(catalog.tables);
  for (const { name } of configs) {
    const table = catalog.tables[name];
    if (table === undefined || state.entities[name] === undefined) continue;
    const changes = services.mirror.schemaChanges(state, table, synced);
    const details = changes.filter(({ needsReread }) => needsReread).map(({ detail }) => detail);
    if (details.length === 0) continue;
    const reason = details.join(', ');
    rereads.set(name, reason);
    services.telemetry.log('info', `All rows of ${name} are read again: ${reason}`, { entity: name });
  }
  return rereads;
}

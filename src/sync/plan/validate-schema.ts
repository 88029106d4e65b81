import type { TableConfig } from '../../config/entities.ts';
import { SkipTableError } from '../../errors.ts';
import { compareSchemas } from '../../schema/compare.ts';
import { reportMarkdown, type SchemaReport, schemaReport } from '../../schema/report.ts';
import { migrationOf, rereadReason, tablesOf } from '../../target/sqlite/migrations.ts';
import type { SyncServices } from '../documents/services.ts';
import type { State } from '../documents/state.ts';
import type { LoadedCatalog } from './catalog.ts';

/** The validation report beside the database, for programs and for people. */
export const schemaReportName = 'schema-report.json';
export const schemaReportMarkdownName = 'schema-report.md';

/**
 * Compares the schema of Dataverse with that of the database before any row moves, and stores the report.
 * Nothing it finds stops a healthy entity.
 * @returns per entity why everything must be read again, for those that need it
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
    error: new SkipTableError(error, hint === undefined ? {} : { hint }),
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
  // An idle run finds what the last one found: the report stays, with the time it was made.
  if (previous !== undefined && JSON.stringify(previous.findings) === JSON.stringify(findings)) return;
  const details = { generatedAt, dataverse: services.settings.dataverse.url, runId };
  await services.published.put(schemaReportName, schemaReport(findings, details));
  await services.published.putText(
    schemaReportMarkdownName,
    reportMarkdown(findings, details),
    'text/markdown; charset=utf-8',
  );
}

/** The latest report, undefined before the first run. */
export async function readSchemaReport(services: SyncServices): Promise<SchemaReport | undefined> {
  return (await services.published.read<SchemaReport>(schemaReportName))?.value;
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
  const before = tablesOf(state);
  const synced = Object.values(catalog.tables);
  for (const { name } of configs) {
    const table = catalog.tables[name];
    const known = state.entities[name];
    if (table === undefined || known === undefined) continue;
    const reason = rereadReason(migrationOf(known, table, synced, before));
    if (reason === undefined) continue;
    rereads.set(name, reason);
    services.telemetry.log('info', `${name} is read again in full: ${reason}`, { entity: name });
  }
  return rereads;
}

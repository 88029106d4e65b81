import { createHash } from 'node:crypto';
import type { TableConfig } from '../../config/entities.ts';
import { SkipTableError } from '../../errors.ts';
import { compareSchemas } from '../../schema/compare.ts';
import { reportMarkdown, type SchemaReport, schemaReport } from '../../schema/report.ts';
import { unlessDamaged } from '../../storage/document-store.ts';
import { isFirstOfHour, type State, tablesOf } from '../../target/state.ts';
import type { SyncServices } from '../documents/services.ts';
import type { LoadedCatalog } from './load-catalog.ts';

/** The schema report beside the database, for programs and for people. */
const schemaReportName = 'schema-report.json';
const schemaReportMarkdownName = 'schema-report.md';

/** What the comparison of the schemas found. */
export interface ValidatedSchema {
  /** The tables of which all rows must be read again, each with the reason. */
  rereads: Map<string, string>;
  /** Names the report that is stored, by what it was made from; undefined if it has something to warn of. */
  schemaReport: string | undefined;
}

/**
 * Compares the schema of Dataverse with that of the mirror before any row moves, and stores the report. A fault of one
 * table does not stop the others. Where nothing changed since an idle run that had nothing to warn of, the report is left
 * alone, but for the first run of each hour: another program may have damaged it.
 */
export async function validateSchema(
  services: SyncServices,
  catalog: LoadedCatalog,
  state: State,
  configs: readonly TableConfig[],
  runId: string,
): Promise<ValidatedSchema> {
  const made = JSON.stringify([catalog.digest, catalog.configDigest, tablesOf(state)]);
  const name = createHash('sha256').update(made).digest('hex').slice(0, 32);
  const isStored = state.schemaReport === name && !isFirstOfHour(state, services.now());
  const isQuiet = isStored || (await storeReport(services, catalog, state, configs, runId));
  return {
    rereads: findRereads(services, catalog, state, configs),
    schemaReport: isQuiet ? name : undefined,
  };
}

/** @returns whether there is nothing to warn of */
async function storeReport(
  services: SyncServices,
  catalog: LoadedCatalog,
  state: State,
  configs: readonly TableConfig[],
  runId: string,
): Promise<boolean> {
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
  const warnings = findings.filter(({ severity }) => severity !== 'info');
  const isQuiet = warnings.length === 0;
  for (const finding of warnings) {
    const level = finding.severity === 'error' ? 'error' : 'warn';
    const { table, column, action } = finding;
    services.telemetry.log(level, `Schema of ${table}: ${finding.what}`, { runId, column, action });
  }
  // Where nothing changed, the report keeps the time of the run that made it.
  if (previous !== undefined && JSON.stringify(previous.findings) === JSON.stringify(findings))
    return isQuiet;
  const details = { generatedAt, dataverse: services.settings.dataverse.url, runId };
  await services.published.put(schemaReportName, schemaReport(findings, details));
  await services.published.putText(
    schemaReportMarkdownName,
    reportMarkdown(findings, details),
    'text/markdown; charset=utf-8',
  );
  return isQuiet;
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

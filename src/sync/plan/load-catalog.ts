import { createHash } from 'node:crypto';
import type { TableConfig } from '../../config/entities.ts';
import { describeError, type Failure, SkipTableError } from '../../errors.ts';
import type { ColumnSelection } from '../../schema/column-selection.ts';
import { parseCsdl } from '../../schema/csdl.ts';
import { CsdlIndex } from '../../schema/csdl-index.ts';
import { modelVersion, type Table } from '../../schema/table.ts';
import { resolveTables } from '../../schema/tables-from-csdl.ts';
import { unlessDamaged } from '../../storage/document-store.ts';
import type { State } from '../../target/state.ts';
import { paths } from '../documents/paths.ts';
import type { Catalog } from '../documents/plan.ts';
import type { SyncServices } from '../documents/services.ts';
import { labelsLimit, loadChoices, readFirstLabels, readLanguage } from './load-choices.ts';
import { type MarkedTables, markColumns } from './mark-columns.ts';
import { type Definitions, readDefinitions, readGrantedDefinitions } from './read-definitions.ts';
import { definedTables, knownTables, readMetadataVersion } from './read-metadata-version.ts';
import { tableDefinition } from './table-definition.ts';
import { type NamesIn, namesOf } from './table-names.ts';

/** The configured tables as Dataverse has them now. */
export interface LoadedCatalog extends Catalog {
  digest: string;
  configDigest: string;
  /** Of the metadata that it was made from; undefined if Dataverse gives none. */
  metadataVersion: string | undefined;
  /** The organisation that it is of; undefined if it is not known. */
  organizationId: string | undefined;
  /** When to read labels and attributes again, because some are missing: ISO 8601, UTC. */
  labelsAgainAt: string | undefined;
}

/** How often labels that Dataverse did not have are read again, with the metadata. */
const labelsAgainHours = 24;
/** The same of labels and attributes that could not be read twice in a row. */
const failedAgainHours = 1;

/** What was found out about the metadata without reading it. */
interface Found {
  configDigest: string;
  metadataVersion: string | undefined;
  /** If they had to be read. */
  definitions: Definitions | undefined;
  /** The catalog of the last run, if everything that it was made from is as it was then. */
  catalog: LoadedCatalog | undefined;
}

/**
 * Loads the models of the configured tables. The metadata document (megabytes) is read only if its version, the
 * configuration, or what this code makes of them changed since the last run.
 *
 * @throws ConfigurationError that names a configured table which neither Dataverse nor the mirror has
 */
export async function loadCatalog(
  services: SyncServices,
  configs: readonly TableConfig[],
  state: State,
): Promise<LoadedCatalog> {
  const found = await findCatalog(services, configs, state);
  return found.catalog ?? readCatalog(services, configs, state, found);
}

/** The models of the last run, if no metadata has to be read; undefined otherwise. Costs one request. */
export async function loadKnownCatalog(
  services: SyncServices,
  configs: readonly TableConfig[],
  state: State,
): Promise<LoadedCatalog | undefined> {
  if (state.configDigest !== digestOf(configs) || knownTables(configs, state).length === 0) return undefined;
  return (await findCatalog(services, configs, state)).catalog;
}

async function findCatalog(
  services: SyncServices,
  configs: readonly TableConfig[],
  state: State,
): Promise<Found> {
  const configDigest = digestOf(configs);
  const known = knownTables(configs, state);
  let definitions = known.length === 0 ? await readDefinitions(services) : undefined;
  // Read before the document: after a change in between, the next run finds another version.
  const metadataVersion = await readMetadataVersion(
    services,
    definitions === undefined ? known : definedTables(definitions.definitions, configs),
  );
  const { labelsAgainAt } = state;
  const isSame =
    metadataVersion !== undefined &&
    (labelsAgainAt === undefined || services.now() < new Date(labelsAgainAt)) &&
    state.metadataVersion === metadataVersion &&
    state.configDigest === configDigest;
  if (isSame && state.catalog !== undefined) {
    const digest = state.catalog;
    const stored = await unlessDamaged(services.documents.claim<Catalog>(paths.catalog(digest)));
    const kept = stored?.modelVersion === modelVersion && isCatalog(stored) ? stored : undefined;
    if (kept?.withoutDefinitions) definitions ??= await readGrantedDefinitions(services);
    if (kept !== undefined && definitions === undefined) {
      const { organizationId } = state;
      const catalog = { ...kept, digest, configDigest, metadataVersion, organizationId, labelsAgainAt };
      return { configDigest, metadataVersion, definitions, catalog };
    }
  }
  return { configDigest, metadataVersion, definitions, catalog: undefined };
}

async function readCatalog(
  services: SyncServices,
  configs: readonly TableConfig[],
  state: State,
  { configDigest, metadataVersion, definitions }: Found,
): Promise<LoadedCatalog> {
  const limit = labelsLimit();
  const language = readLanguage(services, limit);
  const [tables, labels, organizationId] = await Promise.all([
    readTables(services, configs, state, { definitions, language }),
    readFirstLabels(
      services,
      configs.map(({ name }) => name),
      { language, limit },
    ),
    readOrganizationId(services),
  ]);
  const { tryAgain, isCutShort, names, ...models } = tables;
  const choices = await loadChoices(services, Object.values(models.tables), state.choices, {
    ...{ first: labels, names },
  });
  const catalog: Catalog = { ...models, choices: choices.digest };
  const digest = digestOf(catalog);
  // Also over one of that name that is damaged: the name decides the content.
  await services.work.put(paths.catalog(digest), catalog);
  services.documents.remember(paths.catalog(digest), catalog);
  // After an error that may pass, the next run finds another version and reads everything again. If that fails as well,
  // an hour passes before the next try: it costs the whole metadata.
  const unread = metadataVersion === undefined ? undefined : `${metadataVersion} without labels`;
  const mayPass = choices.tryAgain || tryAgain;
  const isFirstTry = (mayPass || isCutShort) && state.metadataVersion !== unread;
  const isIncomplete = choices.areIncomplete || isCutShort;
  const againHours = mayPass ? failedAgainHours : isIncomplete ? labelsAgainHours : undefined;
  return {
    ...catalog,
    digest,
    configDigest,
    metadataVersion: isFirstTry ? unread : metadataVersion,
    organizationId: organizationId ?? state.organizationId,
    labelsAgainAt:
      againHours === undefined
        ? undefined
        : new Date(services.now().getTime() + againHours * 3_600_000).toISOString(),
  };
}

function isCatalog({ tables, skipped }: Catalog): boolean {
  return [tables, skipped].every((member) => Object(member) === member && !Array.isArray(member));
}

/** Asked only with the metadata, so an idle run has no request more. */
async function readOrganizationId({ dataverse, telemetry }: SyncServices): Promise<string | undefined> {
  try {
    return await dataverse.readOrganizationId();
  } catch (error) {
    // It only shows one way in which the source may have changed. Nothing else depends on it.
    const reason = describeError(error).message;
    telemetry.log('info', 'Dataverse does not say which organisation it is.', { reason });
    return undefined;
  }
}

async function readTables(
  services: SyncServices,
  configs: readonly TableConfig[],
  state: State,
  read: { definitions: Definitions | undefined; language: Promise<number | undefined> },
): Promise<Catalog & Pick<MarkedTables, 'tryAgain' | 'isCutShort'> & { names: NamesIn }> {
  const [{ definitions, areRefused }, document, language] = await Promise.all([
    read.definitions ?? readDefinitions(services),
    services.dataverse.readMetadataDocument(),
    // Its error is noted with the labels.
    read.language.catch(() => undefined),
  ]);
  if (document === 'unchanged') throw new Error('The metadata document was not asked for conditionally.');
  const csdl = parseCsdl(document.document);
  const index = CsdlIndex.of(csdl);
  const sameConfig = state.configDigest === digestOf(configs);
  const requests = configs.map(({ name, columns }) => ({
    logicalName: name,
    columns:
      columns &&
      withoutDeletedColumns(columns, index.properties(name), state.entities[name]?.table, sameConfig),
  }));
  const { tables, failures } = resolveTables(csdl, definitions.flatMap(tableDefinition), requests);
  const skipped: Record<string, Failure> = {};
  for (const { logicalName, error } of failures) {
    const hasVanished = state.entities[logicalName] !== undefined && index.type(logicalName) === undefined;
    // A mirrored table that vanished keeps its rows. Any other unknown table is a mistake in the configuration.
    if (error instanceof SkipTableError) skipped[logicalName] = { error: error.message, hint: error.hint };
    else if (!hasVanished) throw error;
  }
  const config = new Map(configs.map((one) => [one.name, one]));
  const { tables: storable, rejected } = services.mirror.storableTables(tables, config, state);
  for (const [name, { message, hint }] of rejected) skipped[name] = { error: message, hint };
  const {
    tables: marked,
    tryAgain,
    isCutShort,
    attributes,
  } = await markColumns(services, storable, state, { areRefused, language });
  return {
    names: namesOf(marked, definitions, attributes),
    modelVersion,
    tables: Object.fromEntries(marked.map((table) => [table.logicalName, table])),
    skipped,
    tryAgain,
    isCutShort,
    withoutDefinitions: areRefused ? true : undefined,
  };
}

/**
 * The selection without columns that Dataverse has deleted, so that they do not stop their table. A column that neither
 * Dataverse nor the mirror ever had stays in it, as a mistake to report.
 */
function withoutDeletedColumns(
  selection: ColumnSelection,
  properties: ReadonlyMap<string, unknown>,
  known: Table | undefined,
  sameConfig: boolean,
): ColumnSelection {
  const mirrored = new Set(
    [...(known?.columns ?? []), ...(known?.staleColumns ?? [])].map(({ name }) => name),
  );
  const isKept = (name: string): boolean => {
    const names = [name, `_${name}_value`];
    if (names.some((one) => properties.has(one))) return true;
    return !(known !== undefined && sameConfig) && !names.some((one) => mirrored.has(one));
  };
  return { include: selection.include?.filter(isKept), exclude: selection.exclude?.filter(isKept) };
}

function digestOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 32);
}

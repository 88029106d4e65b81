import { createHash } from 'node:crypto';
import type { TableConfig } from '../../config/entities.ts';
import type { EntityDefinition } from '../../dataverse/metadata/entity-definitions.ts';
import { describeFailure, type Failure, SkipTableError } from '../../errors.ts';
import type { ColumnSelection } from '../../schema/column-selection.ts';
import { parseCsdl } from '../../schema/csdl.ts';
import { CsdlIndex } from '../../schema/csdl-index.ts';
import type { Table } from '../../schema/table.ts';
import type { TableDefinition } from '../../schema/table-from-csdl.ts';
import { resolveTables } from '../../schema/tables-from-csdl.ts';
import type { State } from '../../target/state.ts';
import type { Catalog } from '../documents/catalog.ts';
import { paths } from '../documents/paths.ts';
import type { SyncServices } from '../documents/services.ts';
import { loadChoices, readFirstLabels } from './load-choices.ts';

/** The configured tables as Dataverse has them now. */
export interface LoadedCatalog extends Catalog {
  digest: string;
  configDigest: string;
  /** The cheap signal that belongs to it; undefined where Dataverse gives none. */
  metadataVersion: string | undefined;
}

/**
 * Loads the table models of the configured entities. The metadata document (megabytes) is read only where the
 * cheap signal or the configuration says that it may have changed since the last run.
 *
 * @throws ConfigurationError that names a configured table which Dataverse does not have and never had here
 */
export async function loadCatalog(
  services: SyncServices,
  configs: readonly TableConfig[],
  state: State,
): Promise<LoadedCatalog> {
  const configDigest = digestOf(configs);
  const known = Object.values(state.entities)[0]?.table;
  const definitions = known === undefined ? await services.dataverse.readEntityDefinitions() : undefined;
  // Read before the document: a change in between shows up as another version in the next run.
  const metadataVersion = await readVersion(services, known ?? firstTable(definitions, configs));
  const unchanged =
    metadataVersion !== undefined &&
    state.metadataVersion === metadataVersion &&
    state.configDigest === configDigest &&
    state.catalog !== undefined;
  if (unchanged) {
    const kept = await services.documents.claim<Catalog>(paths.catalog(state.catalog!));
    if (kept !== undefined) {
      return { ...kept, digest: state.catalog!, configDigest, metadataVersion };
    }
  }
  const names = configs.map(({ name }) => name);
  const [tables, labels] = await Promise.all([
    readTables(services, configs, state, definitions),
    readFirstLabels(services, names),
  ]);
  const choices = await loadChoices(services, Object.values(tables.tables), state.choices, labels);
  const catalog = { ...tables, ...(choices.digest === undefined ? {} : { choices: choices.digest }) };
  const digest = digestOf(catalog);
  await services.work.createIfAbsent(paths.catalog(digest), catalog);
  // Under another name the next run finds the version changed, and asks for the labels again.
  const version =
    metadataVersion === undefined || choices.settled ? metadataVersion : `${metadataVersion} without labels`;
  return { ...catalog, digest, configDigest, metadataVersion: version };
}

/** A table to ask for the metadata version: any that is configured. */
function firstTable(
  definitions: readonly EntityDefinition[] | undefined,
  configs: readonly TableConfig[],
): { name: string; primaryKey: string } | undefined {
  const names = new Set(configs.map(({ name }) => name));
  for (const { logicalName, entitySetName, primaryIdAttribute } of definitions ?? []) {
    if (names.has(logicalName) && entitySetName !== undefined && primaryIdAttribute !== undefined) {
      return { name: entitySetName, primaryKey: primaryIdAttribute };
    }
  }
  return undefined;
}

async function readVersion(
  services: SyncServices,
  table: { name: string; primaryKey: string } | undefined,
): Promise<string | undefined> {
  if (table === undefined) return undefined;
  try {
    return await services.dataverse.readMetadataVersion(table.name, table.primaryKey);
  } catch (error) {
    services.telemetry.log('info', 'The metadata version could not be read; the metadata document is.', {
      reason: (error as Error).message,
    });
    return undefined;
  }
}

async function readTables(
  services: SyncServices,
  configs: readonly TableConfig[],
  state: State,
  known: readonly EntityDefinition[] | undefined,
): Promise<Catalog> {
  const [definitions, document] = await Promise.all([
    known ?? services.dataverse.readEntityDefinitions(),
    services.dataverse.readMetadataDocument(),
  ]);
  if (document === 'unchanged') throw new Error('The metadata document was not asked for conditionally.');
  const csdl = parseCsdl(document.document);
  const index = CsdlIndex.of(csdl);
  const sameConfig = state.configDigest === digestOf(configs);
  const requests = configs.map(({ name, columns }) => ({
    logicalName: name,
    columns:
      columns && standingColumns(columns, index.properties(name), state.entities[name]?.table, sameConfig),
  }));
  const { tables, failures } = resolveTables(csdl, definitions.flatMap(tableDefinition), requests);
  const skipped: Record<string, Failure> = {};
  const vanished: string[] = [];
  for (const { logicalName, error } of failures) {
    // A table that was synced before and is gone keeps its rows; any other wrong entry is a mistake to tell.
    if (error instanceof SkipTableError) skipped[logicalName] = describeFailure(error);
    else if (state.entities[logicalName] !== undefined && index.type(logicalName) === undefined) {
      vanished.push(logicalName);
    } else throw error;
  }
  const config = new Map(configs.map((one) => [one.name, one]));
  const mirrored = tables.map(
    (table) =>
      [table.logicalName, services.mirror.mirrorTable(table, config.get(table.logicalName)!)] as const,
  );
  return { tables: Object.fromEntries(mirrored), skipped, vanished };
}

/**
 * A selection without the columns that Dataverse once had: a column that was deleted there must not stop its table.
 * A name that nobody ever saw stays, as a mistake to tell.
 */
function standingColumns(
  selection: ColumnSelection,
  properties: ReadonlyMap<string, unknown>,
  known: Table | undefined,
  sameConfig: boolean,
): ColumnSelection {
  const mirrored = new Set(
    [...(known?.columns ?? []), ...(known?.staleColumns ?? [])].map(({ name }) => name),
  );
  const stands = (name: string): boolean => {
    const names = [name, `_${name}_value`];
    if (names.some((one) => properties.has(one))) return true;
    return !(known !== undefined && sameConfig) && !names.some((one) => mirrored.has(one));
  };
  return {
    ...(selection.include === undefined ? {} : { include: selection.include.filter(stands) }),
    ...(selection.exclude === undefined ? {} : { exclude: selection.exclude.filter(stands) }),
  };
}

/** What the schema needs of an entity definition; tables that the Web API does not offer have no set. */
function tableDefinition(definition: EntityDefinition): TableDefinition[] {
  const { logicalName, entitySetName, primaryIdAttribute, primaryNameAttribute } = definition;
  if (entitySetName === undefined) return [];
  return [
    {
      logicalName,
      entitySetName,
      primaryId: primaryIdAttribute,
      primaryName: primaryNameAttribute,
      changeTracking:
        definition.isIntersect && !definition.changeTrackingEnabled
          ? undefined
          : definition.changeTrackingEnabled,
      intersect: definition.isIntersect,
    },
  ];
}

function digestOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 32);
}

import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Settings } from '../../../config/settings.ts';
import { ConfigurationError, describeError, type Failure, SyncError } from '../../../errors.ts';
import type { Table } from '../../../schema/table.ts';
import { databaseNameOf } from '../../../storage/database/database-names.ts';
import { unlessDamaged } from '../../../storage/document-store.ts';
import { forEachConcurrently } from '../../../storage/for-each-concurrently.ts';
import { paths as documentPaths } from '../../../sync/documents/paths.ts';
import type { Catalog } from '../../../sync/documents/plan.ts';
import type { SyncServices } from '../../../sync/documents/services.ts';
import { configuredTables, type State } from '../../../target/state.ts';
import { createTelemetry } from '../../../telemetry/telemetry.ts';
import { databasePath, type LocalPaths, localServices } from '../../sync/local-sync.ts';
import { compareTable, type TableComparison } from './compare-table.ts';

/** Tables at the same time: while SQLite compares a page of one, those of others are on their way. */
const concurrency = 4;

/** What `verify --dataverse` found. */
export interface MirrorComparison {
  /** Whether every row is as in Dataverse, or was changed there after the sync. Computed values do not count. */
  isEqual: boolean;
  /** Whether rows differ in computed values, or in values that column security hides. */
  hasComputedDifferences: boolean;
  tables: (TableComparison | ({ table: string } & Failure))[];
  /** Other databases of the mirror, which were not compared: their names, undefined for the default one. */
  otherDatabases: (string | undefined)[];
  seconds: number;
  /** Requests to Dataverse. */
  requests: number;
  /** Bytes of its answers, as transferred. */
  bytes: number;
}

export interface CompareOptions {
  settings: Settings;
  paths: LocalPaths;
  /** The tables of this database alone; undefined: those of the default one. */
  database: string | undefined;
  keysOnly: boolean;
  onTable: (table: TableComparison | ({ table: string } & Failure)) => void;
}

/**
 * Compares the rows of a database of the mirror with those of Dataverse. No other process may change it meanwhile.
 * @throws ConfigurationError if the mirror is of another organisation, or no table is in this database
 */
export async function compareMirror(options: CompareOptions): Promise<MirrorComparison> {
  const { settings, paths, keysOnly, onTable } = options;
  const began = performance.now();
  const silent = createTelemetry(
    () => () => undefined,
    () => undefined,
  );
  const services = await localServices(settings, paths, silent);
  const { state } = await services.mirror.loadState();
  await checkOrganization(services, state);
  const all = configuredTables(state).map(({ logicalName }) => state.entities[logicalName]!);
  const database = options.database === databaseNameOf(paths.database) ? undefined : options.database;
  const isChosen = (table: Pick<Table, 'database'>) => table.database === database;
  const chosen = all.filter(({ table }) => isChosen(table));
  const neverSynced = await unsyncedTables(services, state);
  const absent = neverSynced.filter(({ model }) => model === undefined || isChosen(model));
  const names = all.map(({ table }) => table.database);
  if (chosen.length + absent.length === 0) throw nothingToCompare(options.database, names);
  const folder = join(paths.state, 'verify');
  const { dataverse, sqlite } = services;
  const tables = new Map<string, MirrorComparison['tables'][number]>();
  // A process that was killed may have left it.
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { mode: 0o700 });
  try {
    await forEachConcurrently(chosen, concurrency, async (one) => {
      const { logicalName } = one.table;
      const found = await compareTable(
        {
          ...{ dataverse, sqlite, folder, keysOnly },
          pathOf: (table) => databasePath(paths.database, table.database),
          pageSize: settings.dataverse.pageSize,
          overlapSeconds: settings.sync.overlapSeconds,
        },
        one,
        all,
      ).catch((error: unknown) => {
        if (!(error instanceof SyncError)) throw error;
        const { message, hint } = describeError(error);
        return { table: logicalName, error: message, hint };
      });
      tables.set(logicalName, found);
      onTable(found);
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  const { stats } = dataverse;
  const missing = absent.map(({ table }) => ({
    table,
    error: 'never synced: the mirror does not have this table yet',
    hint: 'Run sync, and see what it says about the table.',
  }));
  missing.forEach(onTable);
  const found = [...chosen.map(({ table }) => tables.get(table.logicalName)!), ...missing];
  return {
    isEqual: found.every(isEqual),
    hasComputedDifferences: found.some((table) => !('error' in table) && table.computed > 0),
    tables: found,
    otherDatabases: [...new Set(names)].filter((name) => name !== database).sort(),
    seconds: (performance.now() - began) / 1000,
    requests: stats.requests,
    bytes: stats.wireBytes,
  };
}

/** Whether the table is as in Dataverse, but for what was changed after the sync. */
export function isEqual(table: MirrorComparison['tables'][number]): boolean {
  if ('error' in table) return false;
  const { missing, gone, different, undated, unexplained, history = 0 } = table;
  return missing + gone + different + undated + unexplained + history === 0;
}

/** The rows of another environment would all differ. */
async function checkOrganization({ dataverse }: SyncServices, { organizationId }: State): Promise<void> {
  if (organizationId === undefined) return;
  const id = await dataverse.readOrganizationId();
  if (id === undefined || id === organizationId) return;
  throw new ConfigurationError('The mirror is of another organisation than this environment.', {
    operation: 'compare with Dataverse',
    object: `organisation ${id}, and ${organizationId} in the mirror`,
    hint: 'Name the environment that sync was given as --dataverse. After a restore or copy of it, run sync first.',
  });
}

/** The configured tables that no sync has read yet, with their models as far as the last sync made one. */
async function unsyncedTables(
  services: SyncServices,
  { configured = [], entities, catalog: digest }: State,
): Promise<{ table: string; model: Table | undefined }[]> {
  const names = configured.filter((name) => entities[name] === undefined);
  if (names.length === 0) return [];
  const stored =
    digest === undefined
      ? undefined
      : await unlessDamaged(services.documents.claim<Catalog>(documentPaths.catalog(digest)));
  return names.map((table) => ({ table, model: Object(stored?.tables)[table] }));
}

function nothingToCompare(
  database: string | undefined,
  names: readonly (string | undefined)[],
): ConfigurationError {
  const others = [...new Set(names)].flatMap((name) => name ?? []).sort();
  const which = database === undefined ? 'the default database' : `the database ${database}`;
  return new ConfigurationError(`No table of the mirror is in ${which}.`, {
    operation: 'compare with Dataverse',
    object: which,
    hint:
      others.length === 0
        ? 'The tables are in the default database: leave out --database.'
        : `The tables are in others: --database ${others.join(', --database ')}${names.includes(undefined) ? ', or the default one' : ''}.`,
  });
}

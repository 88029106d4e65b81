import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Settings } from '../../../config/settings.ts';
import { describeError, type Failure, SyncError } from '../../../errors.ts';
import { databaseNameOf } from '../../../storage/database/database-names.ts';
import { forEachConcurrently } from '../../../storage/for-each-concurrently.ts';
import { configuredTables } from '../../../target/state.ts';
import { createTelemetry } from '../../../telemetry/telemetry.ts';
import { databasePath, type LocalPaths, localServices } from '../../sync/local-sync.ts';
import { compareTable, type TableComparison } from './compare-table.ts';

/** Tables at the same time: while SQLite compares a page of one, those of others are on their way. */
const concurrency = 4;

/** What `verify --dataverse` found. */
export interface MirrorComparison {
  /** Whether every row is as in Dataverse, or was changed there after the sync. */
  isEqual: boolean;
  tables: (TableComparison | ({ table: string } & Failure))[];
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

/** Compares the rows of a database of the mirror with those of Dataverse. No other process may change it meanwhile. */
export async function compareMirror(options: CompareOptions): Promise<MirrorComparison> {
  const { settings, paths, keysOnly, onTable } = options;
  const began = performance.now();
  const silent = createTelemetry(
    () => () => undefined,
    () => undefined,
  );
  const services = await localServices(settings, paths, silent);
  const { state } = await services.mirror.loadState();
  const all = configuredTables(state).map(({ logicalName }) => state.entities[logicalName]!);
  const database = options.database === databaseNameOf(paths.database) ? undefined : options.database;
  const chosen = all.filter(({ table }) => table.database === database);
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
  const found = chosen.map(({ table }) => tables.get(table.logicalName)!);
  return {
    isEqual: found.every(isEqual),
    tables: found,
    seconds: (performance.now() - began) / 1000,
    requests: stats.requests,
    bytes: stats.wireBytes,
  };
}

/** Whether the table is as in Dataverse, but for what was changed after the sync. */
export function isEqual(table: MirrorComparison['tables'][number]): boolean {
  if ('error' in table) return false;
  const { missing, gone, different, history = 0 } = table;
  return missing + gone + different + history === 0;
}

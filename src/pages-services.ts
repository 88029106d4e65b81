import { countTables } from './check/count-tables.ts';
import { perEnvironment } from './config/environments/environment.ts';
import { appEnvironments } from './config/environments/read-environments.ts';
import { readSettings } from './config/settings.ts';
import { describeError, describeForLog, SyncError } from './errors.ts';
import type { PageContext, PageEnvironment } from './http/dashboard/pages/page-context.ts';
import { type RecentRecords, recordsFromDataverse, together } from './metrics/read/recent-records.ts';
import type { MetricsServices } from './metrics/services.ts';
import {
  type CampaignMetricsColumns,
  campaignMetricsColumns,
  type MetricsRow,
  toMetricsRow,
} from './metrics/table/campaign-metrics-columns.ts';
import { metricsServices } from './metrics-services.ts';
import { OpenMirrors } from './mirror/open-mirrors.ts';
import { SqliteReads } from './mirror/sqlite-reads.ts';
import { entitySetOf, type Table } from './schema/table.ts';
import { openSyncStorage, syncServices } from './services.ts';
import type { SyncServices } from './sync/documents/services.ts';
import type { MirrorReads } from './target/mirror-reads.ts';
import { openPostgresReads } from './target/postgres/open-postgres.ts';

/** Memory for the parts of a mirror that pages read, and for a query, in bytes. */
const memory = { cacheBytes: 16 * 1024 * 1024, maxQueryBytes: 128 * 1024 * 1024 };
/** More records are not read for one page. */
const mostRecords = 50_000;
/** Records that were created so long before the mirror read the table may have been written after it. Milliseconds. */
const overlap = 3_600_000;

/** The counts of Dataverse are given up after this time, in milliseconds. */
const countMilliseconds = 60_000;

/** What pages read beside the documents of runs. */
export type PageReads = PageContext['reads'];

export interface PageServices {
  metrics: () => MetricsServices;
  sync: () => Promise<SyncServices>;
  /** Called once, when a page reads the mirror for the first time. @throws ConfigurationError */
  mirror: () => MirrorReads;
}

export function readPagesWith(options: PageServices): PageReads {
  let opened: MirrorReads | undefined;
  const reads = (): MirrorReads => {
    opened ??= options.mirror();
    return opened;
  };
  const records = new RecordsReader(reads, options);
  const counts = new RowCounts();
  const tablesOf = async (): Promise<Table[]> => {
    const { mirror } = await options.sync();
    return Object.values((await mirror.lastState())?.entities ?? {}).map(({ table }) => table);
  };
  return {
    metrics: (since) => records.read(since),
    schemaChanges: async (limit, table) => {
      const databases = table
        ? [table.database]
        : [...new Set((await tablesOf()).map(({ database }) => database))];
      return reads().schemaChanges(limit, databases, table);
    },
    displayNames: async (table) => reads().displayNames(table),
    rowCounts: async (runId, tables) => {
      const { dataverse, telemetry } = await options.sync();
      return counts.of(runId, tables, async (names) => {
        const asked = names.map((logicalName) => ({ logicalName }));
        try {
          return await countTables(dataverse, asked, AbortSignal.timeout(countMilliseconds));
        } catch (error) {
          // Figures that a page can do without.
          const level = error instanceof SyncError ? 'info' : 'error';
          telemetry.log(level, `Dataverse did not count rows for the pages: ${describeForLog(error)}`, {
            runId,
          });
          return new Map();
        }
      });
    },
  };
}

/**
 * What Dataverse counted for the run that is live. Pages are made every two seconds, so each table is counted once in a
 * run, and no page waits for it: the next one has it.
 */
class RowCounts {
  #runId = '';
  #counts = new Map<string, number | undefined>();

  of(
    runId: string,
    tables: readonly string[],
    count: (tables: string[]) => Promise<ReadonlyMap<string, number>>,
  ): ReadonlyMap<string, number> {
    if (runId !== this.#runId) this.#counts = new Map();
    this.#runId = runId;
    const counts = this.#counts;
    const missing = tables.filter((name) => !counts.has(name));
    for (const name of missing) counts.set(name, undefined);
    if (missing.length > 0)
      void count(missing).then((found) => {
        for (const [name, rows] of found) counts.set(name, rows);
      });
    return new Map([...counts].flatMap(([name, rows]) => (rows === undefined ? [] : [[name, rows]])));
  }
}

/** Records of the mirror, as long as it stays in the same state. */
interface Kept {
  etag: string;
  since: number;
  rows: MetricsRow[] | undefined;
}

/**
 * Records come from the mirror if it has their whole table, and what is newer from Dataverse; otherwise all from Dataverse.
 * Several readers at a time share one read, and the rows of the mirror are read once for each of its states.
 */
class RecordsReader {
  readonly #mirror: () => MirrorReads;
  readonly #services: Pick<PageServices, 'metrics' | 'sync'>;
  readonly #reading = new Map<number, Promise<RecentRecords>>();
  #kept: Kept | undefined;

  constructor(mirror: () => MirrorReads, services: Pick<PageServices, 'metrics' | 'sync'>) {
    this.#mirror = mirror;
    this.#services = services;
  }

  read(since: Date): Promise<RecentRecords> {
    const key = since.getTime();
    const reading = this.#reading.get(key) ?? this.#read(since).finally(() => this.#reading.delete(key));
    this.#reading.set(key, reading);
    return reading;
  }

  async #read(since: Date): Promise<RecentRecords> {
    const { reader, settings } = this.#services.metrics();
    const state = await (await this.#services.sync()).mirror.lastState();
    const [name, known] =
      Object.entries(state?.entities ?? {}).find(
        ([, { table }]) => entitySetOf(table) === settings.entitySet,
      ) ?? [];
    // A filtered table has some of the rows, and one that is no longer synced has old ones.
    const isWhole =
      known !== undefined && known.strategy !== 'filtered' && (state?.configured?.includes(name!) ?? true);
    const rows = isWhole
      ? await this.#mirrored(known.table, campaignMetricsColumns(settings), since)
      : undefined;
    if (known === undefined || rows === undefined) return recordsFromDataverse(reader, since);
    const from = Math.max(since.getTime(), Date.parse(known.syncedAt) - overlap);
    const isCut = rows.length === mostRecords;
    const common = { source: 'mirror' as const, mirroredAt: known.syncedAt };
    try {
      const newer = await recordsFromDataverse(reader, new Date(from));
      return { ...common, rows: together(rows, newer.rows), isCut: isCut || newer.isCut };
    } catch (error) {
      // The mirror is of use without Dataverse.
      return { ...common, rows, isCut, fault: describeError(error).message };
    }
  }

  async #mirrored(
    table: Table,
    columns: CampaignMetricsColumns,
    since: Date,
  ): Promise<MetricsRow[] | undefined> {
    const etag = await this.#mirror().etag(table.database);
    if (etag === undefined) return undefined;
    const kept = this.#kept;
    if (kept?.etag === etag && kept.since <= since.getTime()) {
      return kept.rows?.filter(({ record }) => Date.parse(record.createdAt ?? '') >= since.getTime());
    }
    const rows = await recordsFromMirror(this.#mirror(), table, columns, since);
    this.#kept = { etag, since: since.getTime(), rows };
    return rows;
  }
}

/** Undefined if the mirror cannot have records: there is none, or it lacks a column of them. */
async function recordsFromMirror(
  mirror: MirrorReads,
  table: Table,
  columns: CampaignMetricsColumns,
  since: Date,
): Promise<MetricsRow[] | undefined> {
  const inMirror = new Set(table.columns.map(({ name }) => name));
  const { createdAt: by } = columns.column;
  if (!columns.all.every((name) => inMirror.has(name))) return undefined;
  const found = await mirror.newestRows(table, { columns: columns.all, by, since, limit: mostRecords });
  return found?.map((row) => toMetricsRow(row as never, columns));
}

/** The environments of the app, for the pages of each. */
export function pageEnvironments(): PageEnvironment[] {
  return appEnvironments().map((environment) => ({
    name: environment.name,
    services: () => syncServices(environment),
  }));
}

/** What the pages of an environment read with its services. */
export const pageReads = perEnvironment(
  (environment): PageReads =>
    readPagesWith({
      metrics: () => metricsServices(environment),
      sync: () => syncServices(environment),
      mirror: () => {
        const settings = readSettings(environment.settings);
        if (settings.postgres !== undefined) return openPostgresReads(settings.postgres);
        const { databaseFile, namedFile } = openSyncStorage(settings);
        return new SqliteReads(
          new OpenMirrors((name) => (name === undefined ? databaseFile : namedFile(name)), memory),
        );
      },
    }),
);

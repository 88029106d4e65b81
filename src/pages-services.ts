import { readSettings } from './config/settings.ts';
import { describeError } from './errors.ts';
import { type RecentRecords, recordsFromDataverse, together } from './metrics/read/recent-records.ts';
import type { MetricsServices } from './metrics/services.ts';
import {
  campaignMetricsColumns,
  type MetricsRow,
  toMetricsRow,
} from './metrics/table/campaign-metrics-columns.ts';
import { metricsServices } from './metrics-services.ts';
import { Mirror } from './mirror/mirror.ts';
import { entitySetOf, type Table } from './schema/table.ts';
import { openSyncStorage, syncServices } from './services.ts';
import type { DatabaseFile } from './storage/database/database-file.ts';
import type { SyncServices } from './sync/documents/services.ts';

/** Memory for the parts of a mirror that pages read, in bytes. */
const cacheBytes = 16 * 1024 * 1024;
const maxQueryBytes = 128 * 1024 * 1024;
const timeoutMs = 30_000;
/** More records are not read for one page. */
const mostRecords = 100_000;
/** Records that were created so long before the mirror read the table may have been written after it. Milliseconds. */
const overlap = 3_600_000;

/** Reads the records of campaign metrics for a page. */
export type ReadMetrics = (since: Date) => Promise<RecentRecords>;

/** Reads them with the services of this process. */
export const readMetrics: ReadMetrics = readMetricsWith({
  metrics: metricsServices,
  sync: syncServices,
  fileOf: (name) => {
    const { databaseFile, namedFile } = openSyncStorage(readSettings());
    return name === undefined ? databaseFile : namedFile(name);
  },
});

/**
 * Records come from the mirror if it has their table, and what is newer from Dataverse; otherwise all from Dataverse.
 * @param fileOf the file of the database with this name; undefined for the default one
 */
export function readMetricsWith(options: {
  metrics: () => MetricsServices;
  sync: () => Promise<SyncServices>;
  fileOf: (name: string | undefined) => DatabaseFile;
}): ReadMetrics {
  const mirrors = new Map<string | undefined, Promise<Mirror | undefined>>();

  /** The mirror in its newest state; undefined if there is none. */
  async function mirrorOf(name: string | undefined): Promise<Mirror | undefined> {
    const opening = mirrors.get(name) ?? open(options.fileOf(name));
    mirrors.set(name, opening);
    const mirror = await opening.catch(() => undefined);
    if (mirror === undefined) mirrors.delete(name);
    else await mirror.refresh();
    return mirror;
  }

  return async (since) => {
    const { reader, settings } = options.metrics();
    const { mirror } = await options.sync();
    const state = await mirror.lastState();
    const known = Object.values(state?.entities ?? {}).find(
      ({ table }) => entitySetOf(table) === settings.entitySet,
    );
    const file = known && (await mirrorOf(known.table.database));
    if (known === undefined || file === undefined) return recordsFromDataverse(reader, since);
    const { rows, isCut } = await recordsFromMirror(
      file,
      known.table,
      campaignMetricsColumns(settings),
      since,
    );
    const from = Math.max(since.getTime(), Date.parse(known.syncedAt) - overlap);
    const common = { source: 'mirror' as const, mirroredAt: known.syncedAt, isCut };
    try {
      const newer = await recordsFromDataverse(reader, new Date(from));
      return { ...common, rows: together(rows, newer.rows) };
    } catch (error) {
      // The mirror is of use without Dataverse.
      return { ...common, rows, fault: describeError(error).message };
    }
  };
}

async function open(file: DatabaseFile): Promise<Mirror | undefined> {
  const source = {
    name: 'the mirror',
    open: async () => {
      const state = await file.open();
      if (typeof state === 'string') throw new Error('There is no mirror.');
      return state;
    },
  };
  const state = await file.open();
  return typeof state === 'string' ? undefined : new Mirror(source, state, { cacheBytes, maxQueryBytes });
}

async function recordsFromMirror(
  mirror: Mirror,
  table: Table,
  columns: ReturnType<typeof campaignMetricsColumns>,
  since: Date,
): Promise<{ rows: MetricsRow[]; isCut: boolean }> {
  const inMirror = new Set(table.columns.map(({ name }) => name));
  const selected = columns.all.filter((name) => inMirror.has(name));
  const { createdAt } = columns.column;
  if (!inMirror.has(createdAt) || !inMirror.has(columns.id)) return { rows: [], isCut: false };
  const marked = inMirror.has('_deleted_at') ? ' AND _deleted_at IS NULL' : '';
  const sql = `SELECT ${selected.map((name) => `"${name}"`).join(', ')} FROM "${table.name.replaceAll('"', '""')}" WHERE "${createdAt}" >= ?${marked} ORDER BY "${createdAt}" DESC LIMIT ${mostRecords}`;
  const from = `${since.toISOString().slice(0, 19)}Z`;
  const query = () => mirror.query(sql, [from], { timeoutMs });
  // A sync may have replaced the state since it was opened.
  const found = await query().catch(async () => {
    await mirror.refresh();
    return query();
  });
  return {
    rows: found.map((row) => toMetricsRow(row as never, columns)),
    isCut: found.length === mostRecords,
  };
}

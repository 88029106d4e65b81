import type { SyncServices } from '../documents/services.ts';
import { secondsLeft } from './claim-export.ts';
import { type ExportFailure, readExport } from './export-document.ts';

/** How far the export to the lake is, for people and programs. */
export interface ExportStatus {
  /** `behind`: the next run requests the rest, or has requested it. */
  state: 'complete' | 'running' | 'behind' | 'failed';
  /** When an export was complete last: ISO 8601, UTC. Absent before the first one. */
  exportedAt?: string;
  failures: ExportFailure[];
  /** Tables of which all rows are exported, and all of the mirror. */
  tables: { exported: number; total: number };
  /** Values that are NULL in the lake because Parquet cannot have them in the type of their column. */
  unstorable: { table: string; column: string; values: number }[];
}

/** @returns undefined without a landing zone */
export async function exportStatus(
  services: Pick<SyncServices, 'lake' | 'work' | 'mirror' | 'now'>,
): Promise<ExportStatus | undefined> {
  if (services.lake === undefined) return undefined;
  const [{ value }, state] = await Promise.all([readExport(services), services.mirror.lastState()]);
  const { etag, exportedAt, failures } = value;
  const tables = Object.entries(value.tables);
  const isComplete = etag !== undefined && etag === state?.databaseEtag;
  const isLive = secondsLeft(services, value) > 0;
  return {
    state: failures.length > 0 ? 'failed' : isLive ? 'running' : isComplete ? 'complete' : 'behind',
    ...(exportedAt !== undefined && { exportedAt }),
    failures,
    tables: {
      exported: tables.filter(([, { point }]) => point !== undefined).length,
      total: Object.keys(state?.entities ?? {}).length,
    },
    unstorable: tables.flatMap(([table, { unstorable = {} }]) =>
      Object.entries(unstorable).map(([column, values]) => ({ table, column, values })),
    ),
  };
}

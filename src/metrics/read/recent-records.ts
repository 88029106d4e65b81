import type { CallOptions } from '../../dataverse/transport/call.ts';
import type { MetricsRow } from '../table/campaign-metrics-columns.ts';
import type { CampaignMetricsReader } from './campaign-metrics-reader.ts';

/** Records for people to look at, and where they come from. */
export interface RecentRecords {
  /** Newest first. */
  rows: MetricsRow[];
  source: 'mirror' | 'dataverse';
  /** When the mirror read the table last: newer records come from Dataverse. ISO 8601, UTC. */
  mirroredAt?: string;
  /** There are more records than are read for a page: the oldest ones are missing. */
  isCut: boolean;
  /** Why the newest records are missing. */
  fault?: string;
}

const pageSize = 1000;
/** More records are not read from Dataverse for one page. */
const mostPages = 10;

/** Reads the records since a time from Dataverse, newest first. */
export async function recordsFromDataverse(
  reader: Pick<CampaignMetricsReader, 'list'>,
  since: Date,
  options: CallOptions = {},
): Promise<RecentRecords> {
  const rows: MetricsRow[] = [];
  const filter = { since: `${since.toISOString().slice(0, 19)}Z` };
  let token: string | undefined;
  for (let page = 0; page < mostPages; page++) {
    const found = await reader.list(filter, pageSize, token, options);
    if (found === 'wrong page') break;
    rows.push(...found.rows);
    token = found.next;
    if (token === undefined) break;
  }
  return { rows, source: 'dataverse', isCut: token !== undefined };
}

/** Records of the mirror, and those that Dataverse has besides: of the same id, those of Dataverse count. */
export function together(mirrored: readonly MetricsRow[], newer: readonly MetricsRow[]): MetricsRow[] {
  const byId = new Map(mirrored.map((row) => [row.id, row]));
  for (const row of newer) byId.set(row.id, row);
  const timeOf = ({ record }: MetricsRow): string => record.createdAt ?? '';
  return [...byId.values()].sort((a, b) => (timeOf(a) < timeOf(b) ? 1 : timeOf(a) > timeOf(b) ? -1 : 0));
}

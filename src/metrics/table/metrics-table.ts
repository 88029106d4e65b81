import type { CampaignMetrics } from '../contract/contract.ts';

/** A record and the row it is for. */
export interface MetricsRow {
  id: string;
  record: CampaignMetrics;
}

/** A row that Dataverse refuses whatever the weather. */
export interface RefusedRow {
  id: string;
  error: Error;
}

/** The table of campaign metrics in Dataverse, as the rest of `src/metrics` sees it. */
export interface MetricsTable {
  /**
   * Creates the row or updates it, and says which. It never overwrites a change that came between reading and
   * writing, so a request that Dataverse carries out long after we gave it up can do no harm.
   */
  write(row: MetricsRow, signal: AbortSignal): Promise<{ created: boolean; row: MetricsRow }>;
  /**
   * Creates or updates many rows with different ids. A bad row does not hold back its neighbours: it is
   * returned. Throws where rows may be unwritten for another reason; writing all of them again is right then.
   */
  writeMany(rows: readonly MetricsRow[], signal: AbortSignal): Promise<RefusedRow[]>;
  /** Which of these ids have a row. */
  existing(ids: readonly string[], signal: AbortSignal): Promise<Set<string>>;
}

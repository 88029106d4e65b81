import type { MetricsSettings } from '../../config/metrics-settings.ts';
import { queryPath, stringLiteral } from '../../dataverse/read/query.ts';
import { readPages } from '../../dataverse/read/read-pages.ts';
import { readRow } from '../../dataverse/read/read-row.ts';
import type { CallOptions } from '../../dataverse/transport/call.ts';
import type { Transport } from '../../dataverse/transport/transport.ts';
import { campaignMetricsColumns, toMetricsRow } from '../table/campaign-metrics-columns.ts';
import type { MetricsRow } from '../table/metrics-table.ts';
import { rowsOfPage } from '../table/page-rows.ts';
import { type CampaignSummary, type SummaryFilter, summarize } from './summary.ts';

/** Which records are asked for. */
export interface MetricsFilter {
  campaignId?: string | undefined;
  runId?: string | undefined;
  phase?: string | undefined;
  /** From this moment on, UTC. */
  since?: string | undefined;
  /** Before this moment, UTC. */
  until?: string | undefined;
}

/** Reads campaign metrics from Dataverse. */
export class CampaignMetricsReader {
  readonly #transport: Transport;
  readonly #settings: MetricsSettings;
  readonly #entitySet: string;
  readonly #columns;

  constructor(transport: Transport, settings: MetricsSettings) {
    this.#transport = transport;
    this.#settings = settings;
    this.#entitySet = settings.entitySet;
    this.#columns = campaignMetricsColumns(settings);
  }

  async get(id: string, options: CallOptions = {}): Promise<MetricsRow | undefined> {
    const row = await readRow(this.#transport, this.#entitySet, id, {
      ...options,
      select: this.#columns.all,
    });
    return row === undefined ? undefined : toMetricsRow(row, this.#columns);
  }

  /**
   * The newest records, one page of them.
   * @param pageToken as given with the page before, for the same filter
   */
  async list(
    filter: MetricsFilter,
    limit: number,
    pageToken?: string,
    options: CallOptions = {},
  ): Promise<{ rows: MetricsRow[]; next?: string } | 'wrong page'> {
    const { id, column, all } = this.#columns;
    const query = {
      entitySet: this.#entitySet,
      select: all,
      filter: this.#filter(filter),
      orderBy: `${column.createdAt} desc,${id} asc`,
    };
    const own = new URL(queryPath(this.#entitySet, query), `${this.#transport.origin}/api/data/v9.2/`);
    const link = pageToken === undefined ? undefined : linkOfToken(pageToken, own);
    if (pageToken !== undefined && link === undefined) return 'wrong page';
    for await (const page of readPages(
      this.#transport,
      { ...query, link, pageSize: limit, readAhead: false },
      options,
    )) {
      const rows = rowsOfPage(page).map((row) => toMetricsRow(row, this.#columns));
      return page.nextLink === undefined
        ? { rows }
        : { rows, next: Buffer.from(page.nextLink).toString('base64url') };
    }
    return { rows: [] };
  }

  /** Figures per day and campaign. */
  summary(filter: SummaryFilter, options: CallOptions = {}): Promise<CampaignSummary> {
    return summarize(this.#transport, this.#settings, filter, options);
  }

  #filter(filter: MetricsFilter): string | undefined {
    const { column } = this.#columns;
    const parts: string[] = [];
    for (const name of ['campaignId', 'runId', 'phase'] as const) {
      const value = filter[name];
      if (value !== undefined) parts.push(`${column[name]} eq ${stringLiteral(value)}`);
    }
    if (filter.since !== undefined) parts.push(`${column.createdAt} ge ${filter.since}`);
    if (filter.until !== undefined) parts.push(`${column.createdAt} lt ${filter.until}`);
    return parts.length === 0 ? undefined : parts.join(' and ');
  }
}

/**
 * The Dataverse link that a page token carries. The token came back from a caller, so its link must be this very
 * query, save for the place in it: nobody reads another table by a token of his own making.
 */
function linkOfToken(token: string, own: URL): string | undefined {
  const link = Buffer.from(token, 'base64url').toString();
  const url = URL.canParse(link, own.href) ? new URL(link, own.href) : undefined;
  if (url === undefined || url.origin !== own.origin || url.pathname !== own.pathname) return undefined;
  const options = (query: URL) =>
    JSON.stringify([...query.searchParams].filter(([name]) => name !== '$skiptoken').sort());
  return options(url) === options(own) ? link : undefined;
}

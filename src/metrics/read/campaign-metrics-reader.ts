import type { MetricsSettings } from '../../config/metrics-settings.ts';
import { dataverseFault } from '../../dataverse/errors/errors.ts';
import { parseRows } from '../../dataverse/read/page.ts';
import { queryPath } from '../../dataverse/read/query.ts';
import { readPages } from '../../dataverse/read/read-pages.ts';
import { readRow } from '../../dataverse/read/read-row.ts';
import type { CallOptions } from '../../dataverse/transport/call.ts';
import type { Transport } from '../../dataverse/transport/transport.ts';
import {
  campaignMetricsColumns,
  type MetricsFilter,
  type MetricsRow,
  toMetricsRow,
  toODataFilter,
} from '../table/campaign-metrics-columns.ts';
import { linkOfToken, tokenOfLink } from './page-token.ts';
import { type CampaignSummary, type SummaryFilter, summarize } from './summarize.ts';

/** Reads campaign metrics from Dataverse. */
export class CampaignMetricsReader {
  readonly #transport: Transport;
  readonly #settings: MetricsSettings;
  readonly #columns;

  constructor(transport: Transport, settings: MetricsSettings) {
    this.#transport = transport;
    this.#settings = settings;
    this.#columns = campaignMetricsColumns(settings);
  }

  async get(id: string, options: CallOptions = {}): Promise<MetricsRow | undefined> {
    const select = this.#columns.all;
    const row = await readRow(this.#transport, this.#settings.entitySet, id, { ...options, select });
    return row && toMetricsRow(row, this.#columns);
  }

  /**
   * Reads one page of records, newest first.
   * @param pageToken `next` of the page before, for the same filter and limit
   */
  async list(
    filter: MetricsFilter,
    limit: number,
    pageToken?: string,
    options: CallOptions = {},
  ): Promise<{ rows: MetricsRow[]; next?: string } | 'wrong page'> {
    const { entitySet } = this.#settings;
    const { id, column, all } = this.#columns;
    const query = {
      entitySet,
      select: all,
      filter: toODataFilter(filter, this.#columns),
      orderBy: `${column.createdAt} desc,${id} asc`,
    };
    const address = this.#transport.base + queryPath(entitySet, query);
    const link = pageToken === undefined ? undefined : linkOfToken(pageToken, address);
    if (pageToken !== undefined && link === undefined) return 'wrong page';
    const pages = readPages(this.#transport, { ...query, link, pageSize: limit, readAhead: false }, options);
    try {
      for await (const page of pages) {
        const rows = parseRows(page).map((row) => toMetricsRow(row, this.#columns));
        return { rows, next: page.nextLink && tokenOfLink(page.nextLink, address) };
      }
      return { rows: [] };
    } catch (error) {
      // Dataverse does not know the position in the token, or it makes the address too long.
      if (link !== undefined && [400, 404, 414].includes(statusOfFault(error) ?? 0)) return 'wrong page';
      throw error;
    }
  }

  /** Adds up the records per day and campaign. */
  summary(filter: SummaryFilter, options: CallOptions = {}): Promise<CampaignSummary> {
    return summarize(this.#transport, this.#settings, filter, options);
  }
}

/** The status of Dataverse's response, also if the transport turned it into an error of the setup. */
function statusOfFault(error: unknown): number | undefined {
  return (dataverseFault(error) ?? dataverseFault((error as Error).cause))?.status;
}

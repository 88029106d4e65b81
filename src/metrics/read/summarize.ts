import type { MetricsSettings } from '../../config/metrics-settings.ts';
import { dataverseFault } from '../../dataverse/errors/errors.ts';
import { parseRows } from '../../dataverse/read/page.ts';
import { encodeValue } from '../../dataverse/read/query.ts';
import { type PageQuery, readPages } from '../../dataverse/read/read-pages.ts';
import type { CallOptions } from '../../dataverse/transport/call.ts';
import type { Row } from '../../dataverse/transport/reply.ts';
import type { Transport } from '../../dataverse/transport/transport.ts';
import { ConfigurationError } from '../../errors.ts';
import { keyMeaning } from '../contract/key-meaning.ts';
import {
  type CampaignMetricsColumns,
  campaignMetricsColumns,
  type MetricsFilter,
  toODataFilter,
} from '../table/campaign-metrics-columns.ts';
import { aggregated, aggregates, type CampaignDay, CampaignDayTotals, campaignDay } from './campaign-day.ts';

export interface CampaignSummary {
  /** Newest day first. */
  items: CampaignDay[];
  /** `dataverse` if Dataverse aggregated, `rows` if this app read the rows and added them up. */
  aggregatedBy: 'dataverse' | 'rows';
}

export type SummaryFilter = Pick<MetricsFilter, 'campaignId' | 'until'> & { since: string };

/** With more days than this, reading the rows takes fewer requests than one aggregation per day. */
const maxDays = 62;
const parallelDays = 8;
const dayMs = 24 * 3600 * 1000;

/**
 * Adds up campaign metrics per day and campaign. Dataverse groups by campaign, but not by date
 * (learn.microsoft.com: Aggregate data by using OData): so each day is aggregated by a request of its own, from the
 * first to the last day with records. If Dataverse does not aggregate (more than 50,000 rows, an unsupported query),
 * the rows are read and added up here.
 */
export async function summarize(
  transport: Transport,
  settings: MetricsSettings,
  filter: SummaryFilter,
  options: CallOptions = {},
): Promise<CampaignSummary> {
  const query = new SummaryQuery(transport, settings, options);
  try {
    const days = await query.days(filter);
    // Dataverse adds up each column alone. A rate needs the records that have both of its columns.
    if (days.length <= maxDays && !(await query.hasPartialAgents(filter))) {
      const items: CampaignDay[] = [];
      for (let start = 0; start < days.length; start += parallelDays) {
        const some = days.slice(start, start + parallelDays);
        items.push(...(await Promise.all(some.map((day) => query.day(filter, day)))).flat());
      }
      return { items: items.sort(newestFirst), aggregatedBy: 'dataverse' };
    }
  } catch (error) {
    if (!isRefusedQuery(error)) throw error;
  }
  return { items: (await query.fromRows(filter)).sort(newestFirst), aggregatedBy: 'rows' };
}

/** Whether Dataverse rejected `$apply`. A missing privilege or table is an error for the caller. */
function isRefusedQuery(error: unknown): boolean {
  const cause = error instanceof ConfigurationError ? error.cause : error;
  return [400, 405, 501].includes(dataverseFault(cause)?.status ?? 0);
}

class SummaryQuery {
  readonly #transport: Transport;
  readonly #entitySet: string;
  readonly #columns: CampaignMetricsColumns;
  readonly #options: CallOptions;

  constructor(transport: Transport, settings: MetricsSettings, options: CallOptions) {
    this.#transport = transport;
    this.#entitySet = settings.entitySet;
    this.#columns = campaignMetricsColumns(settings);
    this.#options = options;
  }

  /** All days (their midnight) from the first record to the last. */
  async days(filter: SummaryFilter): Promise<number[]> {
    const { createdAt } = this.#columns.column;
    const aggregate = `aggregate(${createdAt} with min as first,${createdAt} with max as last)`;
    for await (const { first, last } of this.#apply([filter], aggregate)) {
      if (first == null || last == null) continue;
      const [from, to] = [first, last].map((time) => Math.floor(Date.parse(String(time)) / dayMs) * dayMs);
      return Array.from({ length: (to! - from!) / dayMs + 1 }, (_, n) => from! + n * dayMs);
    }
    return [];
  }

  /** Whether a record has only one of the two numbers of agents. */
  async hasPartialAgents(filter: SummaryFilter): Promise<boolean> {
    const { agentsTotal, agentsSuccessful } = this.#columns.column;
    const isPartial = `(${agentsTotal} eq null and ${agentsSuccessful} ne null or ${agentsTotal} ne null and ${agentsSuccessful} eq null)`;
    const conditions = `${toODataFilter(filter, this.#columns)} and ${isPartial}`;
    for await (const { records } of this.#applyTo(conditions, 'aggregate($count as records)')) {
      return Number(records ?? 0) > 0;
    }
    return false;
  }

  async day(filter: SummaryFilter, day: number): Promise<CampaignDay[]> {
    const { column } = this.#columns;
    const figures = aggregated.map((name) => `${column[name]} with ${aggregates[name]} as ${name}`);
    const group = `groupby((${column.campaignId}),aggregate($count as records,${figures.join(',')}))`;
    const items: CampaignDay[] = [];
    for await (const row of this.#apply([filter, { since: iso(day), until: iso(day + dayMs) }], group)) {
      const figure = (name: string) => (row[name] == null ? undefined : Number(row[name]));
      const agents = { total: figure('agentsTotal'), successful: figure('agentsSuccessful') };
      items.push(campaignDay(iso(day).slice(0, 10), row[column.campaignId], figure, agents));
    }
    return items;
  }

  /** Adds up the rows, costs in whole hundred-thousandths of a dollar, so that rounding loses nothing. */
  async fromRows(filter: SummaryFilter): Promise<CampaignDay[]> {
    const { column } = this.#columns;
    const select = (['campaignId', 'createdAt', ...aggregated] as const).map((name) => column[name]);
    const groups = new Map<string, CampaignDayTotals>();
    const query = { entitySet: this.#entitySet, select, filter: toODataFilter(filter, this.#columns) };
    for await (const row of this.#rows(query)) {
      const day = String(row[column.createdAt]).slice(0, 10);
      const campaignId = row[column.campaignId];
      // Dataverse groups spellings of one campaign, too.
      const key = JSON.stringify([day, keyMeaning(String(campaignId ?? ''))]);
      const group = groups.get(key) ?? new CampaignDayTotals(day, campaignId);
      groups.set(key, group);
      group.add((name) => row[column[name]]);
    }
    return [...groups.values()].map((group) => group.figures());
  }

  /** Aggregates the records that match all filters. */
  #apply(filters: readonly MetricsFilter[], transformation: string): AsyncGenerator<Row> {
    const conditions = filters.map((filter) => toODataFilter(filter, this.#columns));
    return this.#applyTo(conditions.join(' and '), transformation);
  }

  #applyTo(conditions: string, transformation: string): AsyncGenerator<Row> {
    const apply = `filter(${conditions})/${transformation}`;
    const link = `${this.#transport.base}${this.#entitySet}?$apply=${encodeValue(apply)}`;
    return this.#rows({ entitySet: this.#entitySet, link });
  }

  async *#rows(query: PageQuery): AsyncGenerator<Row> {
    for await (const page of readPages(this.#transport, query, this.#options)) yield* parseRows(page);
  }
}

function newestFirst(a: CampaignDay, b: CampaignDay): number {
  return b.day.localeCompare(a.day) || a.campaignId.localeCompare(b.campaignId);
}

/** `2026-11-21T00:00:00Z` */
const iso = (time: number) => `${new Date(time).toISOString().slice(0, 19)}Z`;

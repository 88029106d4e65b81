import type { MetricsSettings } from '../../config/metrics-settings.ts';
import { dataverseFault } from '../../dataverse/errors/errors.ts';
import { parseRows } from '../../dataverse/read/page.ts';
import { encodeValue } from '../../dataverse/read/query.ts';
import { type PageQuery, readPages } from '../../dataverse/read/read-pages.ts';
import type { CallOptions } from '../../dataverse/transport/call.ts';
import type { Row } from '../../dataverse/transport/reply.ts';
import type { Transport } from '../../dataverse/transport/transport.ts';
import { ConfigurationError } from '../../errors.ts';
import { percentOf } from '../contract/contract.ts';
import {
  type CampaignMetricsColumns,
  campaignMetricsColumns,
  type MetricsFilter,
  toODataFilter,
} from '../table/campaign-metrics-columns.ts';

/** How the fields of several records become one figure. */
const aggregates = {
  costUSD: 'sum',
  tokensIn: 'sum',
  tokensOut: 'sum',
  assetsGenerated: 'sum',
  agentsTotal: 'sum',
  agentsSuccessful: 'sum',
  latencyAvgMs: 'average',
  latencyP95Ms: 'max',
} as const;
type Aggregated = keyof typeof aggregates;
const aggregated = Object.keys(aggregates) as Aggregated[];

/** The figures of one campaign on one day (UTC). */
export interface CampaignDay extends Record<Aggregated, number> {
  /** `2026-11-21` */
  day: string;
  campaignId: string;
  records: number;
  /** Successful agents, in percent of all agents. */
  successRate: number;
}

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
    if (days.length <= maxDays) {
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

  async day(filter: SummaryFilter, day: number): Promise<CampaignDay[]> {
    const { column } = this.#columns;
    const figures = aggregated.map((name) => `${column[name]} with ${aggregates[name]} as ${name}`);
    const group = `groupby((${column.campaignId}),aggregate($count as records,${figures.join(',')}))`;
    const items: CampaignDay[] = [];
    for await (const row of this.#apply([filter, { since: iso(day), until: iso(day + dayMs) }], group)) {
      const figure = (name: string) => Number(row[name] ?? 0);
      items.push(campaignDay(iso(day).slice(0, 10), row[column.campaignId], figure));
    }
    return items;
  }

  /** Adds up the rows, costs in whole hundred-thousandths of a dollar, so that rounding loses nothing. */
  async fromRows(filter: SummaryFilter): Promise<CampaignDay[]> {
    const { column } = this.#columns;
    const select = (['campaignId', 'createdAt', ...aggregated] as const).map((name) => column[name]);
    const groups = new Map<string, { day: string; campaignId: unknown; figures: Map<string, number> }>();
    const query = { entitySet: this.#entitySet, select, filter: toODataFilter(filter, this.#columns) };
    for await (const row of this.#rows(query)) {
      const day = String(row[column.createdAt]).slice(0, 10);
      const campaignId = row[column.campaignId];
      const key = JSON.stringify([day, campaignId]);
      const { figures } = groups.get(key) ?? { figures: new Map<string, number>() };
      groups.set(key, { day, campaignId, figures });
      figures.set('records', (figures.get('records') ?? 0) + 1);
      for (const name of aggregated) {
        const value = Math.round(Number(row[column[name]] ?? 0) * (name === 'costUSD' ? 1e5 : 1));
        const before = figures.get(name) ?? 0;
        figures.set(name, aggregates[name] === 'max' ? Math.max(before, value) : before + value);
      }
    }
    return [...groups.values()].map(({ day, campaignId, figures }) => {
      const divisors: Record<string, number> = { costUSD: 1e5, latencyAvgMs: figures.get('records')! };
      return campaignDay(day, campaignId, (name) => figures.get(name)! / (divisors[name] ?? 1));
    });
  }

  /** Aggregates the records that match all filters. */
  #apply(filters: readonly MetricsFilter[], transformation: string): AsyncGenerator<Row> {
    const conditions = filters.map((filter) => toODataFilter(filter, this.#columns));
    const apply = `filter(${conditions.join(' and ')})/${transformation}`;
    const link = `${this.#transport.base}${this.#entitySet}?$apply=${encodeValue(apply)}`;
    return this.#rows({ entitySet: this.#entitySet, link });
  }

  async *#rows(query: PageQuery): AsyncGenerator<Row> {
    for await (const page of readPages(this.#transport, query, this.#options)) yield* parseRows(page);
  }
}

function campaignDay(day: string, campaignId: unknown, figure: (name: string) => number): CampaignDay {
  const figures = Object.fromEntries(aggregated.map((name) => [name, figure(name)]));
  return {
    ...(figures as Record<Aggregated, number>),
    day,
    campaignId: String(campaignId ?? ''),
    records: figure('records'),
    costUSD: Number(figure('costUSD').toFixed(5)),
    latencyAvgMs: Math.round(figure('latencyAvgMs')),
    successRate: percentOf(figure('agentsSuccessful'), figure('agentsTotal')),
  };
}

function newestFirst(a: CampaignDay, b: CampaignDay): number {
  return b.day.localeCompare(a.day) || a.campaignId.localeCompare(b.campaignId);
}

/** `2026-11-21T00:00:00Z` */
const iso = (time: number) => `${new Date(time).toISOString().slice(0, 19)}Z`;

import type { MetricsSettings } from '../../config/metrics-settings.ts';
import { dataverseFault } from '../../dataverse/errors/errors.ts';
import { encodeValue, stringLiteral } from '../../dataverse/read/query.ts';
import { readPages } from '../../dataverse/read/read-pages.ts';
import type { CallOptions } from '../../dataverse/transport/call.ts';
import type { Row } from '../../dataverse/transport/reply.ts';
import type { Transport } from '../../dataverse/transport/transport.ts';
import { ConfigurationError } from '../../errors.ts';
import { type CampaignMetricsColumns, campaignMetricsColumns } from '../table/campaign-metrics-columns.ts';
import { rowsOfPage } from '../table/page-rows.ts';

/** The figures of one campaign on one day (UTC). */
export interface CampaignDay {
  /** `2026-11-21` */
  day: string;
  campaignId: string;
  records: number;
  costUSD: number;
  tokensIn: number;
  tokensOut: number;
  assetsGenerated: number;
  agentsTotal: number;
  agentsSuccessful: number;
  /** Successful agents of all agents, in per cent. */
  successRate: number;
  /** Average of the records' averages. */
  latencyAvgMs: number;
  /** The worst of the records' 95th percentiles. */
  latencyP95Ms: number;
}

export interface CampaignSummary {
  items: CampaignDay[];
  /** `dataverse` where it aggregated; `rows` where the rows were read and added up here. */
  aggregatedBy: 'dataverse' | 'rows';
}

export interface SummaryFilter {
  campaignId?: string | undefined;
  /** From this moment on, UTC. */
  since: string;
  /** Before this moment, UTC. */
  until?: string | undefined;
}

const summed = ['tokensIn', 'tokensOut', 'assetsGenerated', 'agentsTotal', 'agentsSuccessful'] as const;

/** Beyond so many days, reading the rows is cheaper than asking day by day. */
const maxDays = 62;
const parallelDays = 8;
const dayMs = 24 * 3600 * 1000;

/**
 * Adds up campaign metrics per day and campaign. Dataverse groups by campaign but not by a date
 * (learn.microsoft.com: Aggregate data by using OData), so each day is asked for by itself, after asking
 * between which days there is anything. Where it does not aggregate (more than 50,000 rows, an unsupported
 * query), the rows are read.
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
        const part = days.slice(start, start + parallelDays);
        items.push(...(await Promise.all(part.map((day) => query.day(filter, day)))).flat());
      }
      return { items: items.sort(newestFirst), aggregatedBy: 'dataverse' };
    }
  } catch (error) {
    if (!isRefusedQuery(error)) throw error;
  }
  return { items: (await query.fromRows(filter)).sort(newestFirst), aggregatedBy: 'rows' };
}

/** A refused `$apply`, in whatever words. Missing rights or a missing table are for the caller. */
function isRefusedQuery(error: unknown): boolean {
  const cause = error instanceof ConfigurationError ? error.cause : error;
  const status = dataverseFault(cause)?.status;
  return status === 400 || status === 405 || status === 501;
}

class SummaryQuery {
  readonly #transport: Transport;
  readonly #entitySet: string;
  readonly #columns: CampaignMetricsColumns['column'];
  readonly #options: CallOptions;

  constructor(transport: Transport, settings: MetricsSettings, options: CallOptions) {
    this.#transport = transport;
    this.#entitySet = settings.entitySet;
    this.#columns = campaignMetricsColumns(settings).column;
    this.#options = options;
  }

  /** The days from the first record to the last, each as its midnight. */
  async days(filter: SummaryFilter): Promise<number[]> {
    const time = this.#columns.createdAt;
    const aggregate = `aggregate(${time} with min as first,${time} with max as last)`;
    const [row] = await this.#apply(`filter(${this.#filter(filter)})/${aggregate}`);
    if (row === undefined || row['first'] == null || row['last'] == null) return [];
    const first = midnight(Date.parse(String(row['first'])));
    const last = midnight(Date.parse(String(row['last'])));
    return Array.from({ length: (last - first) / dayMs + 1 }, (_, n) => first + n * dayMs);
  }

  async day(filter: SummaryFilter, day: number): Promise<CampaignDay[]> {
    const { campaignId, costUSD, latencyAvgMs, latencyP95Ms } = this.#columns;
    const since = Math.max(day, Date.parse(filter.since));
    const until = Math.min(day + dayMs, filter.until === undefined ? Infinity : Date.parse(filter.until));
    const within = this.#filter({
      ...filter,
      since: since === day ? iso(day) : filter.since,
      until: until === day + dayMs ? iso(until) : filter.until,
    });
    const aggregates = [
      '$count as records',
      `${costUSD} with sum as costUSD`,
      ...summed.map((name) => `${this.#columns[name]} with sum as ${name}`),
      `${latencyAvgMs} with average as latencyAvgMs`,
      `${latencyP95Ms} with max as latencyP95Ms`,
    ];
    const rows = await this.#apply(
      `filter(${within})/groupby((${campaignId}),aggregate(${aggregates.join(',')}))`,
    );
    return rows.map((row) => {
      const number = (name: string) => Number(row[name] ?? 0);
      return figures(iso(day).slice(0, 10), String(row[campaignId] ?? ''), number);
    });
  }

  /** Adds up the rows here, in whole hundred-thousandths of a dollar, so no cent is lost on the way. */
  async fromRows(filter: SummaryFilter): Promise<CampaignDay[]> {
    const columns = this.#columns;
    const select = ['campaignId', 'createdAt', 'costUSD', 'latencyAvgMs', 'latencyP95Ms', ...summed] as const;
    const query = {
      entitySet: this.#entitySet,
      select: select.map((name) => columns[name]),
      filter: this.#filter(filter),
    };
    const groups = new Map<string, Map<string, number> & { day?: string; campaignId?: string }>();
    for await (const page of readPages(this.#transport, query, this.#options)) {
      for (const row of rowsOfPage(page)) {
        const day = String(row[columns.createdAt]).slice(0, 10);
        const campaignId = String(row[columns.campaignId] ?? '');
        const key = JSON.stringify([day, campaignId]);
        const group = groups.get(key) ?? new Map<string, number>();
        groups.set(key, Object.assign(group, { day, campaignId }));
        const value = (name: (typeof select)[number]) => Number(row[columns[name]] ?? 0);
        const add = (name: string, more: number) => group.set(name, (group.get(name) ?? 0) + more);
        add('records', 1);
        add('costUnits', Math.round(value('costUSD') * 1e5));
        for (const name of summed) add(name, value(name));
        add('latencyAvgMs', value('latencyAvgMs'));
        group.set('latencyP95Ms', Math.max(group.get('latencyP95Ms') ?? 0, value('latencyP95Ms')));
      }
    }
    return [...groups.values()].map((group) => {
      const number = (name: string) => group.get(name) ?? 0;
      group.set('costUSD', number('costUnits') / 1e5);
      group.set('latencyAvgMs', number('latencyAvgMs') / number('records'));
      return figures(group.day!, group.campaignId!, number);
    });
  }

  async #apply(apply: string): Promise<Row[]> {
    const link = `${this.#transport.origin}/api/data/v9.2/${this.#entitySet}?$apply=${encodeValue(apply)}`;
    const rows: Row[] = [];
    for await (const page of readPages(
      this.#transport,
      { entitySet: this.#entitySet, link },
      this.#options,
    )) {
      rows.push(...rowsOfPage(page));
    }
    return rows;
  }

  #filter({ campaignId, since, until }: SummaryFilter): string {
    const time = this.#columns.createdAt;
    const parts = [`${time} ge ${since}`];
    if (until !== undefined) parts.push(`${time} lt ${until}`);
    if (campaignId !== undefined) parts.push(`${this.#columns.campaignId} eq ${stringLiteral(campaignId)}`);
    return parts.join(' and ');
  }
}

function figures(day: string, campaignId: string, number: (name: string) => number): CampaignDay {
  const total = number('agentsTotal');
  const rate = total === 0 ? 0 : Math.round((number('agentsSuccessful') * 10_000) / total) / 100;
  return {
    day,
    campaignId,
    records: number('records'),
    costUSD: Number(number('costUSD').toFixed(5)),
    tokensIn: number('tokensIn'),
    tokensOut: number('tokensOut'),
    assetsGenerated: number('assetsGenerated'),
    agentsTotal: total,
    agentsSuccessful: number('agentsSuccessful'),
    successRate: rate,
    latencyAvgMs: Math.round(number('latencyAvgMs')),
    latencyP95Ms: number('latencyP95Ms'),
  };
}

function newestFirst(a: CampaignDay, b: CampaignDay): number {
  return b.day.localeCompare(a.day) || a.campaignId.localeCompare(b.campaignId);
}

const midnight = (time: number) => Math.floor(time / dayMs) * dayMs;
const iso = (time: number) => `${new Date(time).toISOString().slice(0, 19)}Z`;

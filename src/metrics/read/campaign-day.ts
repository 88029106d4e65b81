import { percentOf } from '../contract/contract.ts';

/** How the fields of several records become one figure. */
export const aggregates = {
  costUSD: 'sum',
  tokensIn: 'sum',
  tokensOut: 'sum',
  assetsGenerated: 'sum',
  agentsTotal: 'sum',
  agentsSuccessful: 'sum',
  latencyAvgMs: 'average',
  latencyP95Ms: 'max',
} as const;
export type Aggregated = keyof typeof aggregates;
export const aggregated = Object.keys(aggregates) as Aggregated[];

/** The figures of one campaign on one day (UTC). Values that a record lacks, because another program wrote it, count nowhere. */
export interface CampaignDay extends Record<Exclude<Aggregated, Latency>, number> {
  /** `2026-11-21` */
  day: string;
  campaignId: string;
  records: number;
  /** Successful agents in percent of all agents, of the records that have both. */
  successRate: number;
  /** Average over the records that have one, each with the same weight; null if none has. */
  latencyAvgMs: number | null;
  /** Highest of the records that have one; null if none has. */
  latencyP95Ms: number | null;
}
type Latency = 'latencyAvgMs' | 'latencyP95Ms';

/** The records of one campaign on one day, added up row by row. */
export class CampaignDayTotals {
  readonly #day: string;
  readonly #campaignId: unknown;
  #records = 0;
  readonly #values = new Map<Aggregated, { count: number; sum: number; max: number }>();
  readonly #agents = { total: 0, successful: 0 };

  constructor(day: string, campaignId: unknown) {
    this.#day = day;
    this.#campaignId = campaignId;
  }

  add(read: (name: Aggregated) => unknown): void {
    this.#records += 1;
    for (const name of aggregated) {
      const value = read(name);
      if (value == null) continue;
      const known = this.#values.get(name) ?? { count: 0, sum: 0, max: 0 };
      const exact = Math.round(Number(value) * scaleOf(name));
      known.count += 1;
      known.sum += exact;
      known.max = Math.max(known.max, exact);
      this.#values.set(name, known);
    }
    const [total, successful] = [read('agentsTotal'), read('agentsSuccessful')];
    if (total == null || successful == null) return;
    this.#agents.total += Number(total);
    this.#agents.successful += Number(successful);
  }

  figures(): CampaignDay {
    const figure = (name: string) => {
      if (name === 'records') return this.#records;
      const values = this.#values.get(name as Aggregated);
      if (values === undefined) return undefined;
      const how = aggregates[name as Aggregated];
      if (how === 'average') return values.sum / values.count;
      return (how === 'max' ? values.max : values.sum) / scaleOf(name);
    };
    return campaignDay(this.#day, this.#campaignId, figure, this.#agents);
  }
}

const scaleOf = (name: string) => (name === 'costUSD' ? 1e5 : 1);

/**
 * @param figure the figure of a field or `records`; undefined if no record has the field
 * @param agents of the records that have both numbers
 */
export function campaignDay(
  day: string,
  campaignId: unknown,
  figure: (name: string) => number | undefined,
  agents: { total: number | undefined; successful: number | undefined },
): CampaignDay {
  const sums = aggregated.filter((name) => aggregates[name] === 'sum');
  const totals = Object.fromEntries(sums.map((name) => [name, figure(name) ?? 0]));
  const latency = figure('latencyAvgMs');
  return {
    ...(totals as Record<Exclude<Aggregated, Latency>, number>),
    day,
    campaignId: String(campaignId ?? ''),
    records: figure('records') ?? 0,
    costUSD: Number((figure('costUSD') ?? 0).toFixed(5)),
    latencyAvgMs: latency === undefined ? null : Math.round(latency),
    latencyP95Ms: figure('latencyP95Ms') ?? null,
    successRate: percentOf(agents.successful ?? 0, agents.total ?? 0),
  };
}

import type { CampaignMetrics } from '../contract/campaign-metrics-fields.ts';

/** A record of which any value may be absent, because another program wrote it. */
export type PartialRecord = { [Name in keyof CampaignMetrics]?: CampaignMetrics[Name] | null };

/** Figures of some records. Null where no record has the value: that is not zero. */
export interface Figures {
  records: number;
  costUSD: number | null;
  tokensIn: number | null;
  tokensOut: number | null;
  assetsGenerated: number | null;
  agentsTotal: number | null;
  /** Successful agents in percent of all agents, of the records that have both. */
  successRate: number | null;
  /** Average in milliseconds, weighted by agents; a record without a number of agents counts as one. */
  latencyAvgMs: number | null;
  /** The highest 95th percentile of a record, in milliseconds: that of all together cannot be known from those. */
  latencyP95Ms: number | null;
}

const summed = ['costUSD', 'tokensIn', 'tokensOut', 'assetsGenerated', 'agentsTotal'] as const;
/** Costs are added as whole units of the last place that they have, so that no digit is lost. */
const costUnits = 1e5;

/** Adds up records one by one. */
export class FiguresTotal {
  #records = 0;
  readonly #sums = new Map<(typeof summed)[number], number>();
  readonly #agents = { total: 0, successful: 0 };
  readonly #latency = { weighted: 0, weight: 0 };
  #p95: number | null = null;

  add(record: PartialRecord): void {
    this.#records += 1;
    for (const name of summed) {
      const value = numberOf(record[name]);
      if (value === undefined) continue;
      const added = name === 'costUSD' ? Math.round(value * costUnits) : value;
      this.#sums.set(name, (this.#sums.get(name) ?? 0) + added);
    }
    const [total, successful] = [numberOf(record.agentsTotal), numberOf(record.agentsSuccessful)];
    if (total !== undefined && successful !== undefined) {
      this.#agents.total += total;
      this.#agents.successful += successful;
    }
    const latency = numberOf(record.latencyAvgMs);
    // A record of no agents has measured nothing.
    const weight = total ?? 1;
    if (latency !== undefined && weight > 0) {
      this.#latency.weighted += latency * weight;
      this.#latency.weight += weight;
    }
    const p95 = numberOf(record.latencyP95Ms);
    if (p95 !== undefined) this.#p95 = Math.max(this.#p95 ?? p95, p95);
  }

  figures(): Figures {
    const sum = (name: (typeof summed)[number]): number | null => this.#sums.get(name) ?? null;
    const cost = sum('costUSD');
    const { total, successful } = this.#agents;
    const { weighted, weight } = this.#latency;
    return {
      records: this.#records,
      costUSD: cost === null ? null : cost / costUnits,
      tokensIn: sum('tokensIn'),
      tokensOut: sum('tokensOut'),
      assetsGenerated: sum('assetsGenerated'),
      agentsTotal: sum('agentsTotal'),
      successRate: total === 0 ? null : (100 * successful) / total,
      latencyAvgMs: weight === 0 ? null : weighted / weight,
      latencyP95Ms: this.#p95,
    };
  }
}

/** Decimals of a mirror with `decimals: "text"` are texts. */
function numberOf(value: unknown): number | undefined {
  if (value === null || value === undefined || String(value).trim() === '') return undefined;
  const number = Number(value);
  return Number.isFinite(number) ? number : undefined;
}

/** One of several groups of records, now and in the period before. */
export interface Group {
  name: string;
  now: Figures;
  before: Figures;
}

export interface CampaignFigures {
  /** The first day and the last one, UTC: `2026-11-01`. */
  from: string;
  to: string;
  now: Figures;
  /** The period of the same length before, up to the same time of its last day. */
  before: Figures;
  /** Every day of the period, also those without records. */
  days: { day: string; figures: Figures }[];
  /** The most expensive ones first. Those of all records, not only of those that `filter` lets through. */
  campaigns: Group[];
  phases: Group[];
}

const dayMilliseconds = 86_400_000;
const dayOf = (time: number): string => new Date(time).toISOString().slice(0, 10);

/** When the records begin that `campaignFigures` needs: two periods. @param days the length of a period */
export function beginOf(now: Date, days: number): Date {
  const today = Date.parse(`${dayOf(now.getTime())}T00:00:00Z`);
  return new Date(today - (2 * days - 1) * dayMilliseconds);
}

/**
 * Figures of the last days up to now, and of as many days before: whole ones but the last, which ends at the same time of
 * day. Otherwise each morning would compare a day that has just begun with a whole one.
 * @param filter of totals, days and phases
 */
export function campaignFigures(
  records: Iterable<PartialRecord>,
  options: { now: Date; days: number; campaignId?: string | undefined; phase?: string | undefined },
): CampaignFigures {
  const { now, days, campaignId, phase } = options;
  const begin = beginOf(now, days).getTime();
  const middle = begin + days * dayMilliseconds;
  const end = middle + days * dayMilliseconds;
  // A record of now has the time of its sender, whose clock may be ahead: today is taken whole.
  const comparable = now.getTime() - days * dayMilliseconds;
  const perDay = new Map<string, FiguresTotal>();
  for (let at = middle; at < end; at += dayMilliseconds) perDay.set(dayOf(at), new FiguresTotal());
  const totals = [new FiguresTotal(), new FiguresTotal()] as const;
  const campaigns = new Groups();
  const phases = new Groups();
  for (const record of records) {
    const at = Date.parse(record.createdAt ?? '');
    if (!(at >= begin && at < end)) continue;
    const isNow = at >= middle;
    if (!isNow && at > comparable) continue;
    const isCampaign = campaignId === undefined || record.campaignId === campaignId;
    const isPhase = phase === undefined || record.phase === phase;
    if (isPhase) campaigns.add(record.campaignId, record, isNow);
    if (isCampaign) phases.add(record.phase, record, isNow);
    if (!isCampaign || !isPhase) continue;
    totals[isNow ? 0 : 1].add(record);
    if (isNow) perDay.get(dayOf(at))?.add(record);
  }
  return {
    from: dayOf(middle),
    to: dayOf(end - dayMilliseconds),
    now: totals[0].figures(),
    before: totals[1].figures(),
    days: [...perDay].map(([day, total]) => ({ day, figures: total.figures() })),
    campaigns: campaigns.all(),
    phases: phases.all(),
  };
}

class Groups {
  readonly #groups = new Map<string, readonly [now: FiguresTotal, before: FiguresTotal]>();

  add(name: string | null | undefined, record: PartialRecord, isNow: boolean): void {
    const key = name ?? '';
    const group = this.#groups.get(key) ?? ([new FiguresTotal(), new FiguresTotal()] as const);
    this.#groups.set(key, group);
    group[isNow ? 0 : 1].add(record);
  }

  /** The most expensive ones first. */
  all(): Group[] {
    return [...this.#groups]
      .map(([name, [now, before]]) => ({ name, now: now.figures(), before: before.figures() }))
      .sort((a, b) => (b.now.costUSD ?? 0) - (a.now.costUSD ?? 0) || (a.name < b.name ? -1 : 1));
  }
}

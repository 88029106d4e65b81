import { columns } from '../../metadata/model-builder.ts';
import { day, hour } from '../../rows/moments.ts';
import { Random } from '../../rows/random.ts';
import { owned, type SampleTable } from './common-columns.ts';

/** The campaigns with their usual number of agents and average latency in milliseconds. */
const campaigns = [
  { id: 'product-launch', firstRun: 7, agents: 28, latency: 4200, weight: 26 },
  { id: 'newsletter', firstRun: 41, agents: 9, latency: 2600, weight: 24 },
  { id: 'trade-fair-follow-up', firstRun: 19, agents: 14, latency: 3300, weight: 18 },
  { id: 'customer-win-back', firstRun: 12, agents: 18, latency: 3800, weight: 14 },
  { id: 'webinar-series', firstRun: 23, agents: 6, latency: 2100, weight: 12 },
  { id: 'partner-onboarding', firstRun: 4, agents: 4, latency: 2900, weight: 6 },
];

/**
 * The phases of a run: research, drafting, review, localization. Per agent: the tokens it reads, the share of
 * these that it writes, and the assets it makes.
 */
const phases = [
  { name: '1', tokens: 62_000, written: 0.06, assets: 0 },
  { name: '2-3', tokens: 38_000, written: 0.24, assets: 3 },
  { name: '4', tokens: 24_000, written: 0.08, assets: 0.5 },
  { name: '5', tokens: 17_000, written: 0.42, assets: 4 },
];

/** US dollars per million tokens. */
const prices = { read: 3, written: 15 };

const phaseLengthMs = 55 * 60_000;
/** The runs are spread over this many days up to now. */
const spanDays = 63;

interface Run {
  campaign: (typeof campaigns)[number];
  number: number;
  start: number;
  /** The share of the agents that fail. */
  failing: number;
  /** The number of agents in relation to the usual one. */
  size: number;
}

export const campaignMetrics: SampleTable = {
  spec: {
    name: 'apex_campaignmetrics',
    set: 'apex_campaignmetricses',
    displayName: 'Campaign metrics',
    primaryName: 'apex_campaignid',
    tracked: true,
    columns: [
      ...columns({
        apex_campaignmetricsid: 'id',
        apex_campaignid: 'text:64',
        apex_runid: 'text:64',
        apex_phase: 'text:16',
        apex_agentstotal: 'int',
        apex_agentssuccessful: 'int',
        apex_assetsgenerated: 'int',
        apex_tokensin: 'int',
        apex_tokensout: 'int',
        apex_latencyp95ms: 'int',
        apex_latencyavgms: 'int',
        apex_costusd: 'decimal:10:5',
        apex_successrate: 'decimal:5:2',
        apex_createdat: 'datetime',
      }),
      ...owned(),
    ],
    keys: [{ name: 'apex_campaignrunphase', columns: ['apex_campaignid', 'apex_runid', 'apex_phase'] }],
    weight: 0.005,
  },
  rows: (business) => {
    const runs = makeRuns(
      business.plan.count('apex_campaignmetrics'),
      business.now,
      business.plan.options.seed,
    );
    return (index, random) => {
      const step = index % phases.length;
      const { campaign, number, start, failing, size } = runs[Math.floor(index / phases.length)]!;
      const { name, tokens, written, assets } = phases[step]!;
      const agents = clamp(campaign.agents * size, 3, 40);
      const successful = clamp(agents * (1 - failing * (0.6 + 0.8 * random.fraction())), 1, agents);
      const tokensIn = Math.round(agents * tokens * Math.exp(0.25 * random.normal()));
      const tokensOut = Math.round(tokensIn * written * Math.exp(0.15 * random.normal()));
      const latency = Math.round(campaign.latency * (1 + 2 * failing) * Math.exp(0.12 * random.normal()));
      const createdAt = start + step * phaseLengthMs + 1000 * random.below(600);
      return {
        ...business.applicationStamps(createdAt),
        apex_campaignid: campaign.id,
        apex_runid: `run-${number}`,
        apex_phase: name,
        apex_agentstotal: agents,
        apex_agentssuccessful: successful,
        apex_assetsgenerated: Math.round(successful * assets * (0.8 + 0.4 * random.fraction())),
        apex_tokensin: tokensIn,
        apex_tokensout: tokensOut,
        apex_latencyavgms: latency,
        apex_latencyp95ms: Math.round(latency * (1.6 + 0.9 * random.fraction())),
        apex_costusd: (tokensIn * prices.read + tokensOut * prices.written) / 1e6,
        apex_successrate: (100 * successful) / agents,
        apex_createdat: createdAt,
        statecode: 0,
        statuscode: 1,
      };
    };
  },
};

/** Runs in the order of time. The last phase of the last run ended within the last hour. */
function makeRuns(rows: number, now: number, seed: number): Run[] {
  const random = new Random(seed, 'campaign runs');
  const count = Math.ceil(rows / phases.length);
  const numbers = new Map<string, number>();
  const last = now - (phases.length - 1) * phaseLengthMs - hour;
  return Array.from({ length: count }, (_, index) => {
    const campaign = index < campaigns.length ? campaigns[index]! : random.weighted(campaigns);
    const number = (numbers.get(campaign.id) ?? campaign.firstRun - 1) + 1;
    numbers.set(campaign.id, number);
    const age = ((count - 1 - index + 0.8 * random.fraction()) / count) * spanDays * day;
    // One run in nine has trouble with a model or a data source.
    const failing = random.chance(0.11) ? 0.1 + 0.06 * random.fraction() : 0.08 * random.fraction() ** 1.3;
    return {
      campaign,
      number,
      start: Math.floor((last - (index === count - 1 ? 0 : age)) / 1000) * 1000,
      failing,
      size: Math.exp(0.25 * random.normal()),
    };
  });
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, Math.round(value)));
}

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { beginOf, campaignFigures, type PartialRecord } from '../../../src/metrics/read/campaign-figures.ts';

const now = new Date('2026-11-21T12:00:00Z');
const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { freq: 4, nil: null });
const record: fc.Arbitrary<PartialRecord> = fc.record({
  campaignId: fc.constantFrom('a', 'b', '__proto__'),
  phase: optional(fc.constantFrom('1', '2')),
  createdAt: fc
    .integer({ min: -20 * 86_400, max: 86_400 })
    .map((seconds) => new Date(now.getTime() + seconds * 1000).toISOString()),
  costUSD: optional(fc.nat(9_999_999).map((units) => units / 1e5)),
  tokensIn: optional(fc.nat(1e6)),
  agentsTotal: optional(fc.nat(50)),
  agentsSuccessful: optional(fc.nat(50)),
  latencyAvgMs: optional(fc.nat(9000)),
  latencyP95Ms: optional(fc.nat(9000)),
});

/** The same figures, by plain lists. */
function plain(records: PartialRecord[]) {
  const with_ = (...names: (keyof PartialRecord)[]) =>
    records.filter((one) => names.every((name) => one[name] !== null));
  const sum = (list: PartialRecord[], of: (one: PartialRecord) => number): number =>
    list.reduce((total, one) => total + of(one), 0);
  const costs = with_('costUSD');
  const agents = with_('agentsTotal', 'agentsSuccessful');
  const all = sum(agents, (one) => one.agentsTotal!);
  const latencies = with_('latencyAvgMs').filter((one) => one.agentsTotal !== 0);
  const weight = sum(latencies, (one) => one.agentsTotal ?? 1);
  const highest = with_('latencyP95Ms').map((one) => one.latencyP95Ms!);
  return {
    records: records.length,
    cost: costs.length === 0 ? null : sum(costs, (one) => one.costUSD!).toFixed(5),
    rate: all === 0 ? null : ((100 * sum(agents, (one) => one.agentsSuccessful!)) / all).toFixed(6),
    latency:
      weight === 0
        ? null
        : (sum(latencies, (one) => one.latencyAvgMs! * (one.agentsTotal ?? 1)) / weight).toFixed(6),
    p95: highest.length === 0 ? null : Math.max(...highest),
  };
}

const short = (figures: ReturnType<typeof campaignFigures>['now']) => ({
  records: figures.records,
  cost: figures.costUSD?.toFixed(5) ?? null,
  rate: figures.successRate?.toFixed(6) ?? null,
  latency: figures.latencyAvgMs?.toFixed(6) ?? null,
  p95: figures.latencyP95Ms,
});

it('figures of a period, of the one before, and of its parts are those of plain lists', () => {
  fc.assert(
    fc.property(fc.array(record, { maxLength: 40 }), (records) => {
      const days = 7;
      const figures = campaignFigures(records, { now, days });
      const middle = beginOf(now, days).getTime() + days * 86_400_000;
      const inPeriod = (from: number, until = from + days * 86_400_000 - 1) =>
        records.filter(({ createdAt }) => {
          const at = Date.parse(createdAt!);
          return at >= from && at <= until;
        });
      const present = inPeriod(middle);
      expect(short(figures.now)).toEqual(plain(present));
      expect(short(figures.before)).toEqual(
        plain(inPeriod(middle - days * 86_400_000, now.getTime() - days * 86_400_000)),
      );
      expect(figures.days).toHaveLength(days);
      for (const { day, figures: ofDay } of figures.days)
        expect(short(ofDay)).toEqual(plain(present.filter(({ createdAt }) => createdAt!.startsWith(day))));
      for (const { name, now: ofCampaign } of figures.campaigns)
        expect(short(ofCampaign)).toEqual(plain(present.filter(({ campaignId }) => campaignId === name)));
      const phase = campaignFigures(records, { now, days, campaignId: 'a', phase: '1' });
      expect(short(phase.now)).toEqual(
        plain(present.filter((one) => one.campaignId === 'a' && one.phase === '1')),
      );
    }),
    { numRuns: 150 },
  );
});

it('a day that has just begun is compared with as much of a day, and what is blank or negative is no zero', () => {
  const morning = new Date('2026-11-21T00:05:00Z');
  const records = Array.from({ length: 24 * 20 }, (_, n) => ({
    campaignId: 'a',
    createdAt: new Date(morning.getTime() - n * 3_600_000).toISOString(),
    costUSD: 1,
  }));
  const { now: present, before } = campaignFigures(records, { now: morning, days: 7 });
  expect([present.records, before.records]).toEqual([24 * 6 + 1, 24 * 6 + 1]);
  const odd = { campaignId: 'a', createdAt: morning.toISOString(), costUSD: ' ', latencyP95Ms: -5 };
  expect(campaignFigures([odd as never], { now: morning, days: 7 }).now).toMatchObject({
    costUSD: null,
    latencyP95Ms: -5,
  });
});

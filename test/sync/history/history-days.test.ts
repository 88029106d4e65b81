import { describe, expect, it } from 'vitest';
import { closeMonths, readDays } from '../../../src/sync/history/history-days.ts';
import { memoryStorage } from '../memory-storage.ts';

const day = 86_400_000;

/** A history of one run each six hours for so many days. Each tenth run has a fault, and one in seven changed a row. */
async function history(days: number, end = Date.UTC(2026, 10, 20, 12)) {
  const { published } = memoryStorage();
  const lines: { runId: string; finishedAt: string; failed?: number; added?: number }[] = [];
  for (let n = 0; n < days * 4; n++) {
    const finishedAt = new Date(end - n * 6 * 3_600_000).toISOString();
    const line = {
      ...{ runId: `r${n}`, trigger: 'timer', phase: 'complete', startedAt: finishedAt, finishedAt },
      ...(n % 10 === 3 && { failed: 1 }),
      ...(n % 7 === 0 && { added: 1 }),
    };
    lines.push(line);
  }
  for (const line of lines.toReversed())
    await published.append(`history/${line.finishedAt.slice(0, 10)}.jsonl`, `${JSON.stringify(line)}\n`);
  return { published, lines, services: { published, now: () => new Date(end) } };
}

describe('the days of the history', () => {
  // On the fifth, the month that is open has fewer runs than are shown.
  it.each([20, 5])(
    'on the %ith have the sums of plain lists, whether months are closed or not',
    async (date) => {
      const end = Date.UTC(2026, 10, date, 12);
      const { published, lines, services } = await history(100, end);
      const check = async (days: number) => {
        const since = new Date(end - days * day);
        const found = await readDays(services, { since, limit: 20 });
        const own = lines.filter(({ finishedAt }) => finishedAt >= since.toISOString());
        const faults = own.filter(({ failed }) => failed);
        expect(found.runs.map(({ runId }) => runId)).toEqual(own.slice(0, 20).map(({ runId }) => runId));
        expect(found.faults.map(({ runId }) => runId)).toEqual(faults.slice(0, 20).map(({ runId }) => runId));
        const byDay = Map.groupBy(own, ({ finishedAt }) => finishedAt.slice(0, 10));
        expect(found.days).toEqual(
          [...byDay].reverse().map(([name, runs]) => ({
            ...{ day: name, runs: runs.length, faults: runs.filter(({ failed }) => failed).length },
            changed: runs.filter(({ added }) => added).length,
          })),
        );
      };
      for (const days of [1, 7, 30, 90, 400]) await check(days);
      await closeMonths(services);
      for (const days of [1, 7, 30, 90, 400]) await check(days);
      // They are what is read, and are made once.
      const name = 'history/2026-09.json';
      const sums = (await published.read<{ days: { day: string; runs: number }[]; faults: [] }>(name))!.value;
      await published.put(name, { ...sums, days: sums.days.map((one) => ({ ...one, runs: 999 })) });
      await closeMonths(services);
      const found = await readDays(services, { since: new Date(0), limit: 20 });
      expect(found.days.filter(({ runs }) => runs === 999)).toHaveLength(30);
      await published.put(name, sums);
      // Sums that another program wrote do not count.
      await published.put('history/2026-10.json', { days: 'none' });
      await check(400);
    },
  );

  it('of a month that has just begun leave the last one open', async () => {
    const { published, services } = await history(60);
    const names = async (at: string) => {
      await closeMonths({ ...services, now: () => new Date(at) });
      const found: string[] = [];
      for await (const { name } of published.list('history/')) if (name.endsWith('.json')) found.push(name);
      return found;
    };
    expect(await names('2026-12-02T00:00:00Z')).toEqual(['history/2026-09.json', 'history/2026-10.json']);
    expect(await names('2026-12-03T00:00:00Z')).toContain('history/2026-11.json');
  });
});

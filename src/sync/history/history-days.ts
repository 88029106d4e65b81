import { z } from 'zod';
import { unlessDamaged } from '../../storage/document-store.ts';
import type { SyncServices } from '../documents/services.ts';
import { closedAfter, dayOf, listHistory, monthFile, readDay } from './history-files.ts';
import { type HistoryLine, hasFault, parseHistoryLine } from './history-line.ts';

/** The runs that ended on one day, UTC, together. */
export interface DaySums {
  /** `2026-11-26` */
  day: string;
  runs: number;
  /** Runs with a fault. */
  faults: number;
  /** Rows that were added, updated or deleted. */
  changed: number;
}

export interface HistoryDays {
  /** The oldest first. Days without a run are absent. */
  days: DaySums[];
  /** The latest runs with a fault, newest first. */
  faults: HistoryLine[];
  /** The latest runs, newest first. */
  runs: HistoryLine[];
}

/** More runs with a fault of one month are not kept in its sums. */
const mostFaults = 200;
/** So many days are read at the same time. */
const daysAtOnce = 8;
const sumsShape = z.object({
  days: z.array(z.object({ day: z.string(), runs: z.number(), faults: z.number(), changed: z.number() })),
  faults: z.array(z.unknown()),
});

type Services = Pick<SyncServices, 'published' | 'now'>;

/**
 * The runs of the last days, together by day. Of a month that is over its sums are read instead of its runs.
 * @param limit of the runs, and of those with a fault
 */
export async function readDays(
  services: Services,
  { since, limit }: { since: Date; limit: number },
): Promise<HistoryDays> {
  const files = await listHistory(services.published);
  const first = dayOf(since);
  const wanted = files.days.filter((day) => day >= first);
  const isSummed = (day: string): boolean => files.months.has(day.slice(0, 7));
  const single = await addUp(
    services,
    wanted.filter((day) => !isSummed(day)),
    { since, limit },
  );
  // The day on which the period begins is counted from its time on, also in a month that is over.
  const begin = await addUp(
    services,
    wanted.filter((day) => day === first && isSummed(day)),
    { since, limit },
  );
  const summed = wanted.filter((day) => day > first && isSummed(day));
  const names = [...new Set(summed.map((day) => day.slice(0, 7)))];
  const months = await Promise.all(names.map((month) => readMonth(services, month)));
  const runs: HistoryLine[] = [];
  for (const day of wanted) {
    if (runs.length >= limit) break;
    const known = single.newest.get(day) ?? begin.newest.get(day);
    runs.push(...(known ?? (await readDay(services, day)).runs));
  }
  const days = months.flatMap((month) => month.days.filter(({ day }) => day > first));
  const faults = months.flatMap((month) => month.faults.filter((run) => dayOf(run.finishedAt) > first));
  return {
    days: [...begin.days, ...days, ...single.days].sort((a, b) => (a.day < b.day ? -1 : 1)),
    faults: newest([...single.faults, ...faults, ...begin.faults], limit),
    runs: newest(runs, limit),
  };
}

function newest(runs: readonly HistoryLine[], limit: number): HistoryLine[] {
  return runs.toSorted((a, b) => (a.finishedAt < b.finishedAt ? 1 : -1)).slice(0, limit);
}

/** The sums of days, and the runs of the newest of them, until they are as many as `limit`. */
interface Added extends Omit<HistoryDays, 'runs'> {
  newest: Map<string, HistoryLine[]>;
}

/** @param days the newest first */
async function addUp(
  services: Services,
  days: readonly string[],
  { since, limit }: { since?: Date; limit: number },
): Promise<Added> {
  const sums: Added = { days: [], faults: [], newest: new Map() };
  let count = 0;
  const from = since?.toISOString() ?? '';
  for (let at = 0; at < days.length; at += daysAtOnce) {
    const some = days.slice(at, at + daysAtOnce);
    const read = await Promise.all(some.map((day) => readDay(services, day)));
    for (const [n, { runs: all }] of read.entries()) {
      const runs = all.filter(({ finishedAt }) => finishedAt >= from);
      const faults = runs.filter(hasFault);
      const changed = runs.reduce(
        (sum, { added = 0, updated = 0, deleted = 0 }) => sum + added + updated + deleted,
        0,
      );
      if (runs.length > 0)
        sums.days.push({ day: some[n]!, runs: runs.length, faults: faults.length, changed });
      if (sums.faults.length < limit) sums.faults.push(...faults);
      if (count < limit) sums.newest.set(some[n]!, runs);
      count += runs.length;
    }
  }
  return sums;
}

/** The sums of a month; without runs, which only its days have. */
async function readMonth(services: Services, month: string): Promise<Omit<HistoryDays, 'runs'>> {
  const found = await unlessDamaged(services.published.read(monthFile(month)));
  const { data } = sumsShape.safeParse(found?.value);
  if (data !== undefined) {
    const faults = data.faults.flatMap((line) => parseHistoryLine(JSON.stringify(line)) ?? []);
    return { days: data.days, faults };
  }
  // Somebody else wrote it. Its days are still there.
  const { days } = await listHistory(services.published);
  return addUp(
    services,
    days.filter((day) => day.startsWith(month)),
    { limit: mostFaults },
  );
}

/** Writes the sums of months that are over and have none. */
export async function closeMonths(services: Services): Promise<void> {
  const { days, months } = await listHistory(services.published);
  const open = dayOf(new Date(services.now().getTime() - closedAfter)).slice(0, 7);
  const closed = new Set(days.map((day) => day.slice(0, 7)).filter((month) => month < open));
  for (const month of [...closed].sort()) {
    if (months.has(month)) continue;
    const own = days.filter((day) => day.startsWith(month));
    const { days: sums, faults } = await addUp(services, own, { limit: mostFaults });
    await services.published.put(monthFile(month), { days: sums, faults: newest(faults, mostFaults) });
  }
}

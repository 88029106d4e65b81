import type { DocumentStore } from '../../storage/document-store.ts';
import { type HistoryLine, parseHistoryLine } from './history-line.ts';

/*
 * The files of the history, beside the database: `history/{day}.jsonl` with one line of JSON for each run that ended on the
 * day, and `history/{month}.json` with the sums of the days of a month that is over. An append blob takes 50,000 blocks
 * (learn.microsoft.com: Append Block): a run every two seconds, all day. A run whose end was repeated may have two lines.
 */

export const historyFolder = 'history/';

/** `2026-11-26` */
export const dayOf = (time: Date | string): string => new Date(time).toISOString().slice(0, 10);
export const dayFile = (day: string): string => `${historyFolder}${day}.jsonl`;
export const monthFile = (month: string): string => `${historyFolder}${month}.json`;

export interface HistoryFiles {
  /** `2026-11-26`, the newest first. */
  days: string[];
  /** The months with sums: `2026-10`. */
  months: Set<string>;
}

export async function listHistory(published: Pick<DocumentStore, 'list'>): Promise<HistoryFiles> {
  const days: string[] = [];
  const months = new Set<string>();
  for await (const { name } of published.list(historyFolder)) {
    const [, day, month] = /^history\/(?:(\d{4}-\d\d-\d\d)\.jsonl|(\d{4}-\d\d)\.json)$/.exec(name) ?? [];
    if (day !== undefined) days.push(day);
    if (month !== undefined) months.add(month);
  }
  return { days: days.sort().reverse(), months };
}

/** The runs that a text of lines has, newest first. Of two lines of one run the first one counts. */
export function runsIn(text: string): HistoryLine[] {
  const runs = new Map<string, HistoryLine>();
  for (const line of text.split('\n').reverse()) {
    const run = line === '' ? undefined : parseHistoryLine(line);
    if (run !== undefined) runs.set(run.runId, run);
  }
  return [...runs.values()].sort((a, b) => (a.finishedAt < b.finishedAt ? 1 : -1));
}

interface DayRead {
  /** Newest first. */
  runs: HistoryLine[];
  /** Bytes that were read. */
  bytes: number;
  /** There are earlier runs of the day, which were not read. */
  isCut: boolean;
}

/** Days that are over, by the store that has them: pages look every few seconds. */
const kept = new WeakMap<object, Map<string, DayRead>>();
/** More is not kept of one store, in bytes of text. */
const mostKept = 8 * 1024 * 1024;
/** After this time no process adds to a day, even if its clock is late. Milliseconds. */
export const closedAfter = 2 * 86_400_000;

/** The runs that ended on a day. @param most bytes that are read; without it the whole day is */
export async function readDay(
  { published, now }: { published: DocumentStore; now: () => Date },
  day: string,
  most = Number.POSITIVE_INFINITY,
): Promise<DayRead> {
  const days = kept.get(published) ?? new Map<string, DayRead>();
  kept.set(published, days);
  const known = days.get(day);
  if (known !== undefined && known.bytes < most) return known;
  const name = dayFile(day);
  const read = Number.isFinite(most) ? published.readEnd(name, most) : published.getBytes(name);
  const content = await read;
  const bytes = content?.length ?? 0;
  const isCut = bytes === most;
  const text = content?.toString() ?? '';
  // The first line may be a part of one.
  const found = { runs: runsIn(isCut ? text.slice(text.indexOf('\n') + 1) : text), bytes, isCut };
  if (!isCut && day < dayOf(new Date(now().getTime() - closedAfter))) {
    const sum = [...days.values()].reduce((total, one) => total + one.bytes, bytes);
    if (sum > mostKept) days.clear();
    if (bytes <= mostKept) days.set(day, found);
  }
  return found;
}

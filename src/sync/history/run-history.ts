import { describeForLog } from '../../errors.ts';
import type { DocumentStore } from '../../storage/document-store.ts';
import type { RunDocument } from '../documents/run.ts';
import type { SyncServices } from '../documents/services.ts';
import { type HistoryLine, historyText, longestLine, parseHistoryLine } from './history-line.ts';

/*
 * The history of runs: one line of JSON per run, in one file per month beside the database. It outlives the reports of the
 * runs, of which only the latest are kept. A run whose end was repeated may have two lines: readers take the first.
 */

const folder = 'history/';
/** How many months stay, beside the current one. */
const keptMonths = 13;

const fileOf = (month: string): string => `${folder}${month}.jsonl`;
/** `2026-11` */
const monthOf = (time: Date): string => time.toISOString().slice(0, 7);

/** Adds a run that is over. A history that cannot be written must not keep the run live. */
export async function appendToHistory(services: SyncServices, run: RunDocument): Promise<void> {
  const { published, telemetry } = services;
  try {
    const line = historyText(run);
    // The month in which it ended, so that files are in the order of their lines.
    await published.append(fileOf(monthOf(new Date(run.finishedAt!))), `${line}\n`);
  } catch (error) {
    const message = `The run could not be added to the history: ${describeForLog(error)}`;
    telemetry.log('warn', message, { runId: run.runId });
  }
}

/** More of one month is not read at once: a run each five minutes with changes in ten tables. */
const mostBytes = 8 * 1024 * 1024;
/** More than a line of a run usually has. */
const bytesOfLine = 2000;

export interface RunHistory {
  /** From when on all runs are there: ISO 8601, UTC. Later than asked if there were too many. */
  since: string;
  /** Newest first. */
  runs: HistoryLine[];
}

/**
 * The runs that ended since a time.
 * @param limit about so many runs. Of a month only as much is read as they usually need.
 */
export async function readHistory(
  { published, now }: Pick<SyncServices, 'published' | 'now'>,
  { since, limit = Number.POSITIVE_INFINITY }: { since: Date; limit?: number },
): Promise<RunHistory> {
  const runs = new Map<string, HistoryLine>();
  let from = since.toISOString();
  for (const month of monthsBetween(since, now())) {
    const bytes = Math.min(mostBytes, Math.max(8 * longestLine, (limit - runs.size) * bytesOfLine));
    const { lines, isCut } = await endOf(published, month, bytes);
    for (const line of lines) {
      // The first line of a run is the last one here.
      if (line.finishedAt >= from) runs.set(line.runId, line);
    }
    // Nothing is known of what is before a part that has no line.
    const oldest = lines.at(-1)?.finishedAt ?? (isCut ? now().toISOString() : undefined);
    if (oldest === undefined || oldest < from || (!isCut && runs.size < limit)) continue;
    from = oldest;
    break;
  }
  const newestFirst = [...runs.values()].sort((a, b) => (a.finishedAt < b.finishedAt ? 1 : -1));
  return { since: from, runs: newestFirst };
}

/** The last lines of a month, newest first. */
async function endOf(published: DocumentStore, month: string, bytes: number) {
  const end = await published.readEnd(fileOf(month), bytes);
  const lines = (end?.toString() ?? '').split('\n');
  const isCut = end?.length === bytes;
  // The first line may be a part of one.
  if (isCut) lines.shift();
  return { lines: lines.reverse().flatMap((line) => parseHistoryLine(line) ?? []), isCut };
}

/** The latest first. */
function monthsBetween(since: Date, until: Date): string[] {
  const months: string[] = [];
  const first = monthOf(since);
  const at = new Date(Date.UTC(until.getUTCFullYear(), until.getUTCMonth(), 1));
  // The clock of the process that wrote may be ahead.
  at.setUTCMonth(at.getUTCMonth() + 1);
  for (let n = 0; n < keptMonths + 2 && monthOf(at) >= first; n++) {
    months.push(monthOf(at));
    at.setUTCMonth(at.getUTCMonth() - 1);
  }
  return months;
}

/** Deletes the months that are no longer kept. */
export async function deleteOldHistory({
  published,
  now,
}: Pick<SyncServices, 'published' | 'now'>): Promise<void> {
  const oldest = now();
  oldest.setUTCDate(1);
  oldest.setUTCMonth(oldest.getUTCMonth() - keptMonths);
  for await (const { name } of published.list(folder)) {
    const month = /^history\/(\d{4}-\d\d)\.jsonl$/.exec(name)?.[1];
    if (month !== undefined && month < monthOf(oldest)) await published.deletePrefix(name);
  }
}

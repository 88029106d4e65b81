import { describeForLog } from '../../errors.ts';
import type { RunDocument } from '../documents/run.ts';
import type { SyncServices } from '../documents/services.ts';
import { dayFile, dayOf, listHistory, monthFile, readDay } from './history-files.ts';
import { type HistoryLine, historyText, longestLine } from './history-line.ts';

/** How many months stay, beside the current one. */
const keptMonths = 13;

/** Adds a run that is over. A history that cannot be written must not keep the run live. */
export async function appendToHistory(services: SyncServices, run: RunDocument): Promise<void> {
  const { published, telemetry } = services;
  try {
    const line = historyText(run);
    // The day on which it ended, so that files are in the order of their lines.
    await published.append(dayFile(dayOf(run.finishedAt!)), `${line}\n`);
  } catch (error) {
    const message = `The run could not be added to the history: ${describeForLog(error)}`;
    telemetry.log('warn', message, { runId: run.runId });
  }
}

/** More is not read at once, in bytes: a run each minute for a month. */
const mostBytes = 16 * 1024 * 1024;
/** More than a line of a run usually has. */
const bytesOfLine = 2000;
/** So many days are read at the same time. */
const daysAtOnce = 8;

export interface RunHistory {
  /** From when on all runs are there: ISO 8601, UTC. Later than asked if there were too many. */
  since: string;
  /** Newest first. */
  runs: HistoryLine[];
}

/**
 * The runs that ended since a time.
 * @param limit about so many runs. Of the days only as much is read as they usually need.
 */
export async function readHistory(
  { published, now }: Pick<SyncServices, 'published' | 'now'>,
  { since, limit = Number.POSITIVE_INFINITY }: { since: Date; limit?: number },
): Promise<RunHistory> {
  const from = since.toISOString();
  const { days } = await listHistory(published);
  const wanted = days.filter((day) => day >= dayOf(since));
  const runs: HistoryLine[] = [];
  let left = mostBytes;
  for (let at = 0; at < wanted.length; at += daysAtOnce) {
    const bytes = Math.min(left, Math.max(8 * longestLine, (limit - runs.length) * bytesOfLine));
    const read = await Promise.all(
      wanted.slice(at, at + daysAtOnce).map((day) => readDay({ published, now }, day, bytes)),
    );
    for (const { runs: ofDay, bytes: length, isCut } of read) {
      runs.push(...ofDay.filter(({ finishedAt }) => finishedAt >= from));
      left -= length;
      const oldest = ofDay.at(-1)?.finishedAt;
      // Nothing is known of what is before a part that has no line.
      if (isCut && (oldest ?? from) >= from)
        return { since: oldest ?? runs.at(-1)?.finishedAt ?? now().toISOString(), runs };
      if (runs.length >= limit) return { since: oldest !== undefined && oldest > from ? oldest : from, runs };
    }
    if (left <= 0) return { since: runs.at(-1)?.finishedAt ?? now().toISOString(), runs };
  }
  return { since: from, runs };
}

/** Deletes the days and months that are no longer kept. */
export async function deleteOldHistory({
  published,
  now,
}: Pick<SyncServices, 'published' | 'now'>): Promise<void> {
  const oldest = now();
  oldest.setUTCDate(1);
  oldest.setUTCMonth(oldest.getUTCMonth() - keptMonths);
  const month = dayOf(oldest).slice(0, 7);
  const { days, months } = await listHistory(published);
  for (const day of days) if (day < month) await published.deletePrefix(dayFile(day));
  for (const one of months) if (one < month) await published.deletePrefix(monthFile(one));
}

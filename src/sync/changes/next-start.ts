import { z } from 'zod';
import { unlessDamaged } from '../../storage/document-store.ts';
import { readActive } from '../documents/active-run.ts';
import { paths } from '../documents/paths.ts';
import type { SyncServices } from '../documents/services.ts';

/*
 * How long changes wait for their run. Tables that change all the time would start a run after each run otherwise, and each
 * run costs a commit of the database, a row of `_sync_log` and a report.
 */

/** Between the starts of two runs for changes pass so many times the seconds that the earlier one took. */
const timesDuration = 10;
/** But that is at most so many seconds: a run that took very long must not make the mirror old. */
const mostSeconds = 900;
/** A live run is looked for at most so many seconds later. */
const longestLookSeconds = 60;

/** `last-changes.json`: the run that was started last for changes. */
const lastChanges = z.looseObject({ runId: z.string(), startedAt: z.iso.datetime() });

/** Notes that a run was started for changes. */
export async function noteStart({ work }: SyncServices, runId: string, startedAt: Date): Promise<void> {
  await work.put(paths.lastChanges, { runId, startedAt: startedAt.toISOString() });
}

/** Seconds until the next run may start for changes; 0 if it may start now. */
export async function secondsToNextStart(services: SyncServices): Promise<number> {
  const least = services.settings.sync.changesIntervalSeconds;
  if (least === 0) return 0;
  const found = await unlessDamaged(services.work.read(paths.lastChanges));
  const { data: last } = lastChanges.safeParse(found?.value);
  if (last === undefined) return 0;
  const run = await unlessDamaged(services.documents.run(last.runId));
  const startedAt = Date.parse(last.startedAt);
  const took = run?.finishedAt === undefined ? 0 : (Date.parse(run.finishedAt) - startedAt) / 1000;
  const interval = Math.max(least, Math.min(mostSeconds, timesDuration * took));
  return Math.max(0, Math.ceil(interval - (services.now().getTime() - startedAt) / 1000));
}

/**
 * Seconds until the next look whether the live run is over: the longer it lasts, the longer. It depends on nothing but the
 * age of the run, so that many messages do not look more often than one.
 * @returns 0 if no run is live
 */
export async function secondsToNextLook(services: SyncServices): Promise<number> {
  const active = await readActive(services);
  if (active === undefined) return 0;
  const age = (services.now().getTime() - Date.parse(active.value.startedAt)) / 1000;
  return Math.min(longestLookSeconds, Math.max(1, Math.ceil(age / 2)));
}

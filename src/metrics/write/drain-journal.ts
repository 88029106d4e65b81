import { setTimeout as sleep } from 'node:timers/promises';
import { describeError, RetriableError } from '../../errors.ts';
import type { JournalLease } from '../journal/journal-lease.ts';
import type { MetricsServices } from '../services.ts';
import { consequenceOf } from './write-consequence.ts';
import { writeEntries } from './write-entries.ts';

/** What one invocation of the writer did. */
export interface DrainReport {
  written: number;
  refused: number;
  /** Set where it stopped before the end: the next wake-up goes on. */
  stopped?: 'busy elsewhere' | 'waiting for Dataverse' | 'out of time';
}

/** An invocation hands over to the next after so long, well within the host's limit. */
const defaultBudgetMs = 60_000;
/** Shows up in case this instance dies while it writes, after its lease has ended; sent anew while it lives. */
const watchdogSeconds = 20;
const watchdogEveryMs = 15_000;
/** Shorter waits for Dataverse are waited here, longer ones by a message. */
const waitHereMs = 5_000;
const longestBackoffSeconds = 60;
/** Read at once: some bulk writes' worth. A failed write repeats no more than this. */
const windowBytes = 1024 * 1024;
const keepWrittenMs = 7 * 24 * 3600 * 1000;

/**
 * Writes the journal's records to Dataverse, in order, until none is left.
 *
 * Any number of instances may call it at any time, for the same message again too: only the holder of the
 * journal's lease writes. Who finds the lease taken goes away, and who gives it back looks once more, so that
 * no record that came in between is left lying.
 */
export async function drainJournal(
  services: MetricsServices,
  options: { budgetMs?: number } = {},
): Promise<DrainReport> {
  const until = Date.now() + (options.budgetMs ?? defaultBudgetMs);
  const report: DrainReport = { written: 0, refused: 0 };
  for (;;) {
    const { pending, state } = await services.journal.progress();
    if (!pending) return report;
    // Whoever set this time has sent a message for it.
    if (state.retryAt - Date.now() > waitHereMs) return { ...report, stopped: 'waiting for Dataverse' };
    const lease = await services.journal.lease();
    if (lease === undefined) return { ...report, stopped: 'busy elsewhere' };
    try {
      const stopped = await drainUnderLease(services, lease, until, report);
      if (stopped !== undefined) return { ...report, stopped };
    } finally {
      await lease.release();
    }
  }
}

async function drainUnderLease(
  services: MetricsServices,
  lease: JournalLease,
  until: number,
  report: DrainReport,
): Promise<DrainReport['stopped']> {
  const { journal, settings, wakeUp } = services;
  let watchdogAt = 0;
  let startedAt = 0;
  while (!lease.lost.aborted) {
    if (Date.now() > until) {
      await wakeUp.later(0);
      return 'out of time';
    }
    if (Date.now() - watchdogAt > watchdogEveryMs) {
      await wakeUp.later(watchdogSeconds);
      watchdogAt = Date.now();
    }
    await pause(lease.state.retryAt - Date.now());
    let window = await journal.read(lease.state, windowBytes);
    if (window.entries.length === 0) {
      if (window.next.generation === lease.state.generation) return undefined;
      await lease.change(window.next);
      await journal.removeWritten(new Date(Date.now() - keepWrittenMs));
      continue;
    }
    if (window.entries.length < settings.bulkSize) {
      // Records that come one by one are gathered: every request counts against Dataverse's limits.
      const wait = startedAt + settings.bulkIntervalMs - Date.now();
      if (wait > 0) {
        await pause(wait);
        window = await journal.read(lease.state, windowBytes);
      }
    }
    startedAt = Date.now();
    try {
      const result = await writeEntries(services, window.entries, lease);
      report.written += result.written;
      report.refused += result.refused;
      services.event(
        'CampaignMetricsWritten',
        {},
        { written: result.written, refused: result.refused, seconds: (Date.now() - startedAt) / 1000 },
      );
      await lease.change({ ...window.next, poison: result.poison, retryAt: 0, failures: 0 });
    } catch (error) {
      const consequence = consequenceOf(error);
      if (lease.lost.aborted) return 'busy elsewhere';
      if (await backOff(services, lease, error, consequence === 'setup')) return 'waiting for Dataverse';
    }
  }
  return 'busy elsewhere';
}

/** Notes when to try again. True where that is so far off that a message will do it. */
async function backOff(
  services: MetricsServices,
  lease: JournalLease,
  error: unknown,
  setup: boolean,
): Promise<boolean> {
  const failures = lease.state.failures + 1;
  const asked = error instanceof RetriableError ? (error.retryAfterSeconds ?? 0) : 0;
  const grown = setup ? longestBackoffSeconds : Math.min(longestBackoffSeconds, 2 ** (failures - 1) / 2);
  const seconds = Math.max(asked, grown);
  const { message, hint } = describeError(error);
  services.log(setup ? 'error' : 'warn', 'Campaign metrics wait: Dataverse does not take them.', {
    failures,
    retryInSeconds: seconds,
    reason: message,
    hint,
  });
  const retryAt = Date.now() + seconds * 1000;
  if (retryAt - Date.now() <= waitHereMs) {
    await lease.change({ failures, retryAt });
    return false;
  }
  // The message first: a crash in between then costs an idle wake-up, not the records' delay.
  await services.wakeUp.later(Math.ceil(seconds) + 1);
  await lease.change({ failures, retryAt });
  return true;
}

async function pause(milliseconds: number): Promise<void> {
  if (milliseconds > 0) await sleep(milliseconds);
}

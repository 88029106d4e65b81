import { setTimeout as sleep } from 'node:timers/promises';
import { describeError, RetriableError } from '../../errors.ts';
import { type PlacedEntry, type Position, ticketOf } from '../journal/journal-entry.ts';
import type { JournalLease, JournalState } from '../journal/journal-lease.ts';
import { openEntries, settledText } from '../journal/settled-entries.ts';
import type { MetricsServices } from '../services.ts';
import { consequenceOf } from '../table/write-consequence.ts';
import { renewPoisonIds } from './renew-poison-ids.ts';
import { type WriteReport, writeEntries } from './write-entries.ts';

/** What one drain did. */
export interface DrainReport {
  written: number;
  refused: number;
  /** Why it stopped before the end of the journal. A later message continues. */
  stopped?: 'busy elsewhere' | 'waiting for Dataverse' | 'out of time';
}

/** A drain ends after this long, well within the host's limit, and the next message continues. */
const defaultBudgetMs = 60_000;
/** If this instance dies, another message starts a drain after its lease has expired … */
const takeoverSeconds = 20;
/** … and while it lives, it sends another such message this often. */
const takeoverEveryMs = 15_000;
/** The drain sleeps through shorter pauses and schedules the next drain for longer ones. */
const maxSleepMs = 5_000;
const maxBackoffSeconds = 60;
/** Entries that are read at once, enough for several bulk writes. */
const windowBytes = 1024 * 1024;
const keepWrittenMs = 7 * 24 * 3600 * 1000;

/**
 * Writes the journal's records to Dataverse, in order, until none is pending.
 *
 * Any number of instances can call it at any time, also repeatedly for one message: only the holder of the journal's
 * lease writes. If another instance holds the lease, return. The holder checks the journal again after it has released
 * the lease, so that it also writes a record that arrived in between.
 * @throws SyncError if storage fails. Failures of Dataverse are logged and retried.
 */
export async function drainJournal(
  services: MetricsServices,
  options: { budgetMs?: number } = {},
): Promise<DrainReport> {
  const until = Date.now() + (options.budgetMs ?? defaultBudgetMs);
  const report: DrainReport = { written: 0, refused: 0 };
  let drainedTo = '';
  while (report.stopped === undefined) {
    const { pending, state, end } = await services.journal.progress();
    // Records can only seem pending after a drain to this end if somebody has deleted the blobs that held them.
    if (!pending || ticketOf(end) === drainedTo) break;
    // The drain that set `retryAt` has scheduled the next one.
    if (state.retryAt - Date.now() > maxSleepMs) return { ...report, stopped: 'waiting for Dataverse' };
    const lease = await services.journal.lease();
    if (lease === undefined) return { ...report, stopped: 'busy elsewhere' };
    try {
      report.stopped = await drainUnderLease(services, lease, until, report);
      drainedTo = ticketOf(end);
    } finally {
      await lease.release();
    }
  }
  return report;
}

async function drainUnderLease(
  services: MetricsServices,
  lease: JournalLease,
  until: number,
  report: DrainReport,
): Promise<DrainReport['stopped']> {
  const { journal, settings, drainQueue } = services;
  let takeoverSentAt = 0;
  let startedAt = 0;
  if (lease.state.poisonIds === 0) await renewPoisonIds(services.poison, lease);
  while (!lease.lost.aborted) {
    if (Date.now() > until) {
      await drainQueue.schedule(0);
      return 'out of time';
    }
    if (Date.now() - takeoverSentAt > takeoverEveryMs) {
      await drainQueue.schedule(takeoverSeconds);
      takeoverSentAt = Date.now();
    }
    await sleepUntil(lease.state.retryAt);
    let window = await journal.read(lease.state, windowBytes);
    if (window.entries.length === 0) {
      if (window.next.generation === lease.state.generation) return undefined;
      await lease.change({ ...window.next, settled: '' });
      await journal.removeWritten(new Date(Date.now() - keepWrittenMs));
      continue;
    }
    const nextBulkAt = startedAt + settings.bulkIntervalMs;
    const isRetry = lease.state.failures > 0;
    if (window.entries.length < settings.bulkSize && nextBulkAt > Date.now() && !isRetry) {
      // Collects records that arrive one by one, because every request counts against Dataverse's limits.
      await sleepUntil(nextBulkAt);
      window = await journal.read(lease.state, windowBytes);
    }
    startedAt = Date.now();
    const pending = openEntries(lease.state, window.entries);
    let outcome: WriteReport;
    try {
      outcome = await writeEntries(services, pending, lease);
    } catch (error) {
      if (lease.lost.aborted) return 'busy elsewhere';
      // A storage fault fails the invocation: the host logs it and delivers the message again.
      throw error;
    }
    const { written, refused, poison, open } = outcome;
    report.written += written;
    report.refused += refused;
    const seconds = (Date.now() - startedAt) / 1000;
    if (written + refused > 0) services.event('CampaignMetricsWritten', {}, { written, refused, seconds });
    if (open.size === 0) await lease.change({ ...window.next, settled: '', poison, retryAt: 0, failures: 0 });
    else {
      const progress = progressIn(window.entries, pending, open);
      const failures = written + refused > 0 ? 1 : lease.state.failures + 1;
      const change = { ...progress, poison, failures };
      if (await backOff(services, lease, [...open.values()], change)) return 'waiting for Dataverse';
    }
  }
  return 'busy elsewhere';
}

/** The position of the first entry that must be written again, and which of those after it need not be. */
function progressIn(
  entries: readonly PlacedEntry[],
  pending: readonly PlacedEntry[],
  open: ReadonlyMap<string, Error>,
): Position & { settled: string } {
  const unsettled = new Set(pending.filter(({ id }) => open.has(id)));
  const settled = entries.map((entry) => !unsettled.has(entry));
  const first = settled.indexOf(false);
  const { position } = entries[first]!;
  return { ...position, settled: settledText(position, settled.slice(first)) };
}

/**
 * Stores what is written and when to retry the rest. Returns true if it scheduled a drain for that time, because it is
 * far off.
 */
async function backOff(
  services: MetricsServices,
  lease: JournalLease,
  errors: readonly Error[],
  change: Partial<JournalState> & { failures: number },
): Promise<boolean> {
  const { failures } = change;
  const error = errors.find((each) => consequenceOf(each) === 'setup') ?? errors[0]!;
  const isSetup = consequenceOf(error) === 'setup';
  const backoff = isSetup ? maxBackoffSeconds : Math.min(maxBackoffSeconds, 2 ** (failures - 1) / 2);
  const retryInSeconds = Math.max(backoff, ...errors.map(retryAfterOf));
  const { message: reason, hint } = describeError(error);
  const properties = { failures, records: errors.length, retryInSeconds, reason, hint };
  services.log(
    isSetup ? 'error' : 'warn',
    'Campaign metrics cannot be written to Dataverse now.',
    properties,
  );
  const isFar = retryInSeconds * 1000 > maxSleepMs;
  // Before the state: after a crash in between, a drain starts that has nothing to do, instead of none.
  if (isFar) await services.drainQueue.schedule(Math.ceil(retryInSeconds) + 1);
  await lease.change({ ...change, retryAt: Date.now() + retryInSeconds * 1000 });
  return isFar;
}

function retryAfterOf(error: Error): number {
  return error instanceof RetriableError ? (error.retryAfterSeconds ?? 0) : 0;
}

async function sleepUntil(time: number): Promise<void> {
  const milliseconds = time - Date.now();
  if (milliseconds > 0) await sleep(milliseconds);
}

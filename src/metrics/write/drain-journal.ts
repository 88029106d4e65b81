import { setTimeout as sleep } from 'node:timers/promises';
import { isBefore, type PlacedEntry, ticketOf } from '../journal/journal-entry.ts';
import type { JournalLease } from '../journal/journal-lease.ts';
import { openEntries } from '../journal/settled-entries.ts';
import { leaveBehind, readFrom } from '../journal/stragglers.ts';
import type { MetricsServices } from '../services.ts';
import { renewPoisonIds } from './renew-poison-ids.ts';
import { isFar, maxStragglerSleepMs, oldestSeconds, storeOutcome } from './store-outcome.ts';
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
    const hasNew = isBefore(readFrom(state), end);
    const isPaused = isFar(state.retryAt) || (!hasNew && isFar(state.stragglersAt, maxStragglerSleepMs));
    if (isPaused) return { ...report, stopped: 'waiting for Dataverse' };
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
    const from = readFrom(lease.state);
    let window = await journal.read(from, windowBytes);
    const stragglers = await journal.stragglers(lease.state);
    if (window.entries.length === 0) {
      if (window.next.generation !== from.generation) {
        await lease.change(leaveBehind(stragglers, window.next));
        await journal.removeWritten(new Date(Date.now() - keepWrittenMs));
        continue;
      }
      if (stragglers.length === 0) {
        // Somebody has deleted the blobs that held them.
        if (lease.state.stragglers !== '') await lease.change(leaveBehind([], from));
        return undefined;
      }
      // The drain that set the time has scheduled the next one.
      if (isFar(lease.state.stragglersAt, maxStragglerSleepMs)) return 'waiting for Dataverse';
      await sleepUntil(lease.state.stragglersAt);
    }
    const nextBulkAt = startedAt + settings.bulkIntervalMs;
    const isRetry = lease.state.failures > 0;
    const isSmall = window.entries.length > 0 && window.entries.length < settings.bulkSize;
    if (isSmall && nextBulkAt > Date.now() && !isRetry) {
      // Collects records that arrive one by one, because every request counts against Dataverse's limits.
      await sleepUntil(nextBulkAt);
      window = await journal.read(from, windowBytes);
    }
    startedAt = Date.now();
    const open = openEntries(from, lease.state.settled, window.entries);
    const rows = new Set(open.map(({ id }) => id));
    // A newer value is a reason to write a straggler at once, and must not be written before it.
    const isDue = lease.state.stragglersAt <= startedAt;
    const tried = new Set(stragglers.filter(({ id }) => isDue || rows.has(id)));
    measureQueue(services, [...stragglers, ...open]);
    let outcome: WriteReport;
    try {
      outcome = await writeEntries(services, [...tried, ...open], lease);
    } catch (error) {
      if (lease.lost.aborted) return 'busy elsewhere';
      // A storage fault fails the invocation: the host logs it and delivers the message again.
      throw error;
    }
    const { written, refused } = outcome;
    report.written += written;
    report.refused += refused;
    const seconds = (Date.now() - startedAt) / 1000;
    tellOutcome(services, outcome, seconds);
    const isOpen = (entry: PlacedEntry) => outcome.open.has(entry.id);
    const left = stragglers.filter((entry) => isOpen(entry) || !tried.has(entry));
    const read = { stragglers: left, entries: window.entries, open: open.filter(isOpen), next: window.next };
    const isOver = await storeOutcome(services, lease, read, { ...outcome, before: stragglers.length });
    if (isOver) return 'waiting for Dataverse';
  }
  return 'busy elsewhere';
}

/** Entries beyond the window are not counted: reading them all would cost more than the figure is worth. */
function measureQueue(services: MetricsServices, waiting: readonly PlacedEntry[]): void {
  services.metric('campaignMetrics.queued', waiting.length, {});
  services.metric('campaignMetrics.oldestQueuedSeconds', oldestSeconds(services, waiting), {});
}

function tellOutcome(services: MetricsServices, outcome: WriteReport, seconds: number): void {
  const { written, refused, poison } = outcome;
  if (written + refused > 0) services.event('CampaignMetricsWritten', {}, { written, refused, seconds });
  if (refused > 0) services.event('CampaignMetricsRejected', {}, { refused, poison });
  if (written > 0) services.metric('campaignMetrics.written', written, { outcome: 'written' });
  if (refused > 0) services.metric('campaignMetrics.written', refused, { outcome: 'refused' });
}

async function sleepUntil(time: number): Promise<void> {
  const milliseconds = time - Date.now();
  if (milliseconds > 0) await sleep(milliseconds);
}

import type { ChangesMessage } from '../documents/messages.ts';
import type { SyncServices } from '../documents/services.ts';
import { startRun } from '../run/start-run.ts';
import { noteStart, secondsToNextLook, secondsToNextStart } from './next-start.ts';
import { pendingChanges, settleChanges, storeChanges } from './pending-changes.ts';
import { forgetWakeUp, requestWakeUp, takeWakeUp } from './wake-up.ts';

/**
 * Notes that rows of tables have changed in Dataverse. A run of these tables starts after `SYNC_CHANGES_DELAY`, together
 * with all that change until then, or once the run that is going on is over; see next-start.ts for how soon after another
 * one. When this returns, nothing can be lost.
 * @param tables logical names of configured tables
 */
export async function acceptChanges(services: SyncServices, tables: readonly string[]): Promise<void> {
  await storeChanges(services, tables);
  await requestWakeUp(services, () => secondsToWait(services));
}

/** Seconds until a message for changes of tables can do something. */
async function secondsToWait(services: SyncServices): Promise<number> {
  const waits = await Promise.all([secondsToNextStart(services), secondsToNextLook(services)]);
  return Math.max(services.settings.sync.changesDelaySeconds, ...waits);
}

/**
 * Starts a narrow run of the tables that have changed. Can be repeated: a message too many finds nothing, or starts a run
 * that finds no change.
 */
export async function startChanges(services: SyncServices, message: ChangesMessage): Promise<void> {
  if (!(await takeWakeUp(services, message))) return;
  const pending = await pendingChanges(services);
  const configured = services.readEntities().map(({ name }) => name);
  const isWanted = ({ table }: { table: string | undefined }) =>
    table === undefined || configured.includes(table);
  await settleChanges(
    services,
    pending.filter((change) => !isWanted(change)),
  );
  const wanted = pending.filter(isWanted);
  if (wanted.length === 0) return;
  const tables = wanted.flatMap(({ table }) => table ?? []);
  // A run of all tables is due, however many runs of some tables there were.
  const isAll = tables.length < wanted.length;
  const later = isAll ? 0 : await secondsToNextStart(services);
  if (later > 0) return requestWakeUp(services, async () => later);
  const startedAt = services.now();
  const started = await startRun(
    services,
    isAll ? { trigger: 'timer' } : { trigger: 'changes', tables: tables.sort() },
  );
  if (started.outcome === 'started') {
    if (!isAll) await noteStart(services, started.runId, startedAt);
    // The run reads after these versions were written, and its claim is stored.
    return settleChanges(services, wanted);
  }
  services.telemetry.log('debug', `Changes of ${tables.join(', ')} wait for run ${started.runId}.`, {
    runId: started.runId,
  });
  const wait = async () =>
    Math.max(services.settings.sync.changesDelaySeconds, await secondsToNextLook(services));
  await requestWakeUp(services, wait, { isUrgent: isAll });
}

/** Handles a message that failed too often. Its changes wait for the next change of a table, or for the timer. */
export async function dropPoisonedChanges(services: SyncServices): Promise<void> {
  await forgetWakeUp(services);
  services.telemetry.log(
    'error',
    'No run could be started for changes in Dataverse. The next run of the timer reads them.',
  );
}

/**
 * Starts the run of the timer. If a narrow run is going on, the run of all tables follows it at once, not a whole interval
 * later.
 */
export async function startScheduledRun(services: SyncServices): Promise<void> {
  const { outcome, tables } = await startRun(services, { trigger: 'timer' });
  if (outcome === 'started' || tables === undefined) return;
  await storeChanges(services, 'all');
  const { changesDelaySeconds } = services.settings.sync;
  await requestWakeUp(services, async () => changesDelaySeconds, { isUrgent: true });
}

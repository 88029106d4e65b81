import { setTimeout as delay } from 'node:timers/promises';
import { describeForLog } from '../../errors.ts';
import type { FetchMessage, MergeMessage, PlanMessage } from '../../sync/documents/messages.ts';
import type { SyncServices } from '../../sync/documents/services.ts';
import { failPoisonedTable } from '../../sync/fetch/fail-table.ts';
import { fetchSlice } from '../../sync/fetch/fetch-slice.ts';
import { mergeRound } from '../../sync/merge/merge-round.ts';
import { failPoisonedRun } from '../../sync/run/fail-run.ts';
import { failPoisonedPlan, planRun } from '../../sync/run/plan-run.ts';

/** How many tables are read at the same time, as one instance of the functions app does. */
const maxFetches = 12;
/** After so many failures a message is given up, as host.json says. */
const maxTries = 5;
/** Seconds before a message that failed is handled again. */
const retrySeconds = [1, 2, 5, 10];

type Message = { tries: number; visibleAt: number } & (
  | { kind: 'plan'; body: PlanMessage }
  | { kind: 'fetch'; body: FetchMessage }
  | { kind: 'merge'; body: MergeMessage }
);

/**
 * The messages of a run that one process does alone. They are lost with the process: the next one resumes the run, which
 * requests what is missing.
 */
export class MessageQueue {
  readonly #waiting: Message[] = [];
  readonly #active = new Set<Message>();
  #wake: () => void = () => undefined;

  readonly senders: Pick<
    SyncServices,
    | 'sendPlan'
    | 'sendFetch'
    | 'sendMerge'
    | 'sendCheck'
    | 'sendExport'
    | 'sendChanges'
    | 'sendTo'
    | 'claimQueues'
  > = {
    sendPlan: async (body, seconds) => this.#add({ kind: 'plan', body, ...due(seconds) }),
    sendFetch: async (body, seconds) => this.#add({ kind: 'fetch', body, ...due(seconds) }),
    sendMerge: async (body, seconds) => this.#add({ kind: 'merge', body, ...due(seconds) }),
    // A sync does not check the whole database: SYNC_CHECK_HOURS is 0.
    sendCheck: async () => undefined,
    // A sync on plain files has no landing zone.
    sendExport: async () => undefined,
    sendChanges: async () => undefined,
    // It gives messages back to another app, which does not exist here.
    sendTo: async () => undefined,
    claimQueues: async () => undefined,
  };

  #add(message: Message): void {
    this.#waiting.push(message);
    this.#wake();
  }

  /**
   * Handles messages until there are none, but for early merges: they look after a run that is over by then.
   * @throws what the handling of a message that failed too often threw
   */
  async drain(services: SyncServices): Promise<void> {
    let fault: { error: unknown } | undefined;
    while (fault === undefined && (this.#active.size > 0 || this.#waiting.some(isNeeded))) {
      const next = this.#take();
      if (next !== undefined) {
        this.#active.add(next);
        void this.#handle(services, next)
          .catch((error: unknown) => {
            fault ??= { error };
          })
          .finally(() => {
            this.#active.delete(next);
            this.#wake();
          });
        continue;
      }
      await this.#change();
    }
    if (fault !== undefined) throw fault.error;
  }

  /** The first message that may be handled now. Merges and plans run alone; they do little while tables are read. */
  #take(): Message | undefined {
    const active = [...this.#active];
    const fetches = active.filter(({ kind }) => kind === 'fetch').length;
    const at = this.#waiting.findIndex(({ kind, visibleAt }) => {
      if (visibleAt > performance.now()) return false;
      return kind === 'fetch' ? fetches < maxFetches : active.every((other) => other.kind !== kind);
    });
    return at < 0 ? undefined : this.#waiting.splice(at, 1)[0];
  }

  /** Waits until a message arrives, ends, or becomes due. */
  async #change(): Promise<void> {
    const woken = Promise.withResolvers<void>();
    this.#wake = woken.resolve;
    const stop = new AbortController();
    const next = Math.min(
      ...this.#waiting.map(({ visibleAt }) => visibleAt).filter((at) => at > performance.now()),
    );
    const timer = Number.isFinite(next)
      ? delay(next - performance.now(), undefined, { signal: stop.signal }).catch(() => undefined)
      : new Promise<never>(() => undefined);
    await Promise.race([woken.promise, timer]);
    stop.abort();
  }

  async #handle(services: SyncServices, message: Message): Promise<void> {
    message.tries += 1;
    try {
      await handle(services, message);
    } catch (error) {
      const { kind, body, tries } = message;
      const { runId } = body;
      services.telemetry.log('debug', `A ${kind} message failed: ${describeForLog(error)}`, { runId, tries });
      if (tries >= maxTries) return giveUp(services, message);
      this.#add({ ...message, visibleAt: due(retrySeconds[tries - 1]).visibleAt });
    }
  }
}

const due = (seconds = 0): { tries: number; visibleAt: number } => ({
  tries: 0,
  visibleAt: performance.now() + seconds * 1000,
});

const isNeeded = ({ kind, body }: Message): boolean => kind !== 'merge' || body.early !== true;

function handle(services: SyncServices, { kind, body, tries }: Message): Promise<void> {
  if (kind === 'plan') return planRun(services, body);
  const options = { redelivered: tries > 1 };
  return kind === 'fetch' ? fetchSlice(services, body, options) : mergeRound(services, body, options);
}

async function giveUp(services: SyncServices, { kind, body }: Message): Promise<void> {
  if (kind === 'plan') await failPoisonedPlan(services, body);
  else if (kind === 'fetch') await failPoisonedTable(services, body);
  else await failPoisonedRun(services, body);
}

import { setTimeout as delay } from 'node:timers/promises';
import { ConfigurationError, RetriableError } from '../errors.ts';
import type { RereadRequest } from '../sync/documents/run.ts';
import type { RunStatus } from '../sync/run/run-status.ts';
import { isOver } from '../terminal/run-outcome.ts';

/** Minimum milliseconds between two polls of a run. */
const POLLING_INTERVAL = 200;

/** Calls the app's own HTTP functions, as any other client does. */
export class SyncClient {
  readonly #url: string;
  readonly #headers: Record<string, string>;
  readonly #stop: AbortSignal;

  /** @param root of the environment: `http://…/api`. `stop` ends the requests that are in progress. */
  constructor(root: string, functionKey: string, stop: AbortSignal) {
    this.#stop = stop;
    this.#url = `${root}/sync`;
    this.#headers = { 'x-functions-key': functionKey };
  }

  /**
   * Starts a run, or resumes the run of a killed process (then `fresh` is false).
   *
   * @param options `allowMassDelete`: tables that may lose rows beyond their limit; `reread`: tables to read again in full
   * @throws ConfigurationError or RetriableError with the app's explanation
   */
  async start(
    options: { allowMassDelete?: string[]; reread?: RereadRequest } = {},
  ): Promise<{ runId: string; fresh: boolean }> {
    const headers = { ...this.#headers, 'content-type': 'application/json' };
    const body = JSON.stringify({ resume: true, ...options });
    const response = await fetch(this.#url, {
      ...{ method: 'POST', headers, body },
      redirect: 'error',
      signal: this.#stop,
    });
    if (response.status !== 202 && response.status !== 409) throw await errorOf(response);
    const { runId, outcome } = (await response.json()) as { runId: string; outcome: string };
    return { runId, fresh: outcome === 'started' };
  }

  /** The latest runs, newest first. */
  async runs(): Promise<RunStatus[]> {
    return (await this.#get<{ runs: RunStatus[] }>(this.#url)).runs;
  }

  /** Polls the run until it is over, and passes each status to `onStatus`. */
  async follow(runId: string, onStatus: (status: RunStatus) => void): Promise<RunStatus> {
    for (;;) {
      const began = performance.now();
      const status = await this.#get<RunStatus>(`${this.#url}/${runId}`);
      onStatus(status);
      if (isOver(status)) return status;
      // A poll takes time from the sync itself: at most a fifth.
      await delay(Math.max(POLLING_INTERVAL, 4 * (performance.now() - began)));
    }
  }

  async #get<T>(url: string): Promise<T> {
    const response = await fetch(url, { headers: this.#headers, redirect: 'error', signal: this.#stop });
    if (!response.ok) throw await errorOf(response);
    return (await response.json()) as T;
  }
}

/** Turns the app's `application/problem+json` back into an error. */
async function errorOf(response: Response): Promise<Error> {
  let problem: { detail?: string; hint?: string } = {};
  try {
    problem = JSON.parse(await response.text()) as typeof problem;
  } catch {
    // The host itself answered, without a problem document: the status is all there is.
  }
  const message =
    problem.detail ?? `The app answered ${response.status} to ${new URL(response.url).pathname}`;
  const details = { operation: 'start a sync', hint: problem.hint };
  return response.status === 503
    ? new RetriableError(message, details)
    : new ConfigurationError(message, details);
}

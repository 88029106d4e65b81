import { setTimeout as delay } from 'node:timers/promises';
import { ConfigurationError, RetriableError } from '../errors.ts';
import type { RunStatus } from '../sync/run/run-status.ts';
import { isOver } from './run-outcome.ts';

/** Milliseconds between two looks at a run, at least. */
const INTERVAL = 200;

/** Talks to the app over its own HTTP functions, as any caller would. */
export class SyncClient {
  readonly #url: string;
  readonly #headers: Record<string, string>;

  /** `url` is the functions host's. */
  constructor(url: string, functionKey: string) {
    this.#url = `${url}/api/sync`;
    this.#headers = { 'x-functions-key': functionKey };
  }

  /**
   * Starts a sync, or takes up the one that a killed process left behind (`fresh` is then false).
   *
   * @throws ConfigurationError or RetriableError with what the app says is wrong.
   */
  async start(): Promise<{ runId: string; fresh: boolean }> {
    const headers = { ...this.#headers, 'content-type': 'application/json' };
    const response = await fetch(this.#url, { method: 'POST', headers, body: '{"resume":true}' });
    if (response.status !== 202 && response.status !== 409) throw await problem(response);
    const { runId, outcome } = (await response.json()) as { runId: string; outcome: string };
    return { runId, fresh: outcome === 'started' };
  }

  async status(runId: string): Promise<RunStatus> {
    const response = await fetch(`${this.#url}/${runId}`, { headers: this.#headers });
    if (!response.ok) throw await problem(response);
    return (await response.json()) as RunStatus;
  }

  /** The latest run, where there is one. */
  async latest(): Promise<RunStatus | undefined> {
    const response = await fetch(this.#url, { headers: this.#headers });
    if (!response.ok) throw await problem(response);
    return ((await response.json()) as { runs: RunStatus[] }).runs[0];
  }

  /** Looks at the run until it is over, and hands over each look. */
  async follow(runId: string, seen: (status: RunStatus) => void): Promise<RunStatus> {
    for (;;) {
      const began = performance.now();
      const status = await this.status(runId);
      seen(status);
      if (isOver(status)) return status;
      // Looking takes its time from the sync itself: never more than a fifth of it.
      await delay(Math.max(INTERVAL, 4 * (performance.now() - began)));
    }
  }
}

/** The app's `application/problem+json`, as the error that it was there. */
async function problem(response: Response): Promise<Error> {
  const text = await response.text();
  let said: { detail?: string; hint?: string } = {};
  try {
    said = JSON.parse(text) as typeof said;
  } catch {
    // No problem document: the host's own answer, whose status says it all.
  }
  const message = said.detail ?? `The app answered ${response.status} to ${new URL(response.url).pathname}`;
  const details = { operation: 'start a sync', ...(said.hint !== undefined && { hint: said.hint }) };
  return response.status === 503
    ? new RetriableError(message, details)
    : new ConfigurationError(message, details);
}

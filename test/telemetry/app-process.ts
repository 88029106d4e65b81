import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import type { RunStatus } from '../../src/sync/run/run-status.ts';
import { compileCache } from '../compile-cache.ts';

/** The built app in a process of its own. */
export class AppProcess {
  readonly log: { level: string; category: string; message: string }[] = [];
  url = '';
  key = '';
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.on('message', (message: { kind: string } & (typeof this.log)[number]) => {
      if (message.kind === 'log') this.log.push(message);
    });
    // What is logged outside of an invocation.
    for (const stream of [child.stdout!, child.stderr!]) {
      createInterface({ input: stream }).on('line', (message) =>
        this.log.push({ level: 'console', category: '', message }),
      );
    }
  }

  static async start(settings: Record<string, string>): Promise<AppProcess> {
    const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], SYNC_SCHEDULE: '0 0 0 1 1 *' };
    const child = fork(join(import.meta.dirname, 'run-app.ts'), {
      env: { ...compileCache, ...env, ...settings } as NodeJS.ProcessEnv,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    const app = new AppProcess(child);
    const { url, key } = await app.#answer<{ url: string; key: string }>('ready');
    return Object.assign(app, { url, key });
  }

  /** Lets the timer start a run, or a request, and waits until it is over. */
  async sync(trigger: 'timer' | 'http' = 'timer'): Promise<RunStatus> {
    const before = await this.#latest();
    if (trigger === 'timer') {
      this.#child.send({ kind: 'timer' });
      await this.#answer('done');
    } else {
      const { status } = await this.request('sync', { method: 'POST' });
      if (status !== 202) throw new Error(`POST sync answered ${status}.`);
    }
    for (;;) {
      const latest = await this.#latest();
      if (latest !== undefined && latest.runId !== before?.runId && latest.finishedAt !== undefined)
        return latest;
      await delay(100);
    }
  }

  async #latest(): Promise<RunStatus | undefined> {
    const { active, runs } = (await (await this.request('sync')).json()) as {
      active?: unknown;
      runs: RunStatus[];
    };
    return active === undefined || active === null ? runs[0] : undefined;
  }

  request(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = { 'x-functions-key': this.key, ...init.headers };
    return fetch(`${this.url}/api/${path}`, { ...init, headers });
  }

  async usage(): Promise<{ cpuSeconds: number; rss: number }> {
    const answer = this.#answer<{ cpuSeconds: number; rss: number }>('usage');
    this.#child.send({ kind: 'usage' });
    return answer;
  }

  /** Stops the app as the platform does: what waits to be sent is sent. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.send({ kind: 'stop' });
    await ended;
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  #answer<T>(kind: string): Promise<T> {
    return new Promise((resolve, reject) => {
      const onExit = (code: number | null) => reject(new Error(`The app ended with code ${code}.`));
      const onMessage = (message: { kind: string }) => {
        if (message.kind !== kind) return;
        this.#child.off('message', onMessage);
        this.#child.off('exit', onExit);
        resolve(message as T);
      };
      this.#child.on('message', onMessage);
      this.#child.once('exit', onExit);
    });
  }
}

import { once } from 'node:events';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

/** A part of the local environment in a thread of its own, so that it can use another core. */
export interface WorkerThread<Report> {
  report: Report;
  /** Calls the listener with each notice that the thread sends. */
  onNotice(listener: (notice: unknown) => void): void;
  /** Asks the thread to stop, and waits until it has ended. */
  stop(): Promise<void>;
}

/** Why a thread could not start. */
export class WorkerThreadError extends Error {
  override readonly name: string = 'WorkerThreadError';
  /** The system's code, for example EADDRINUSE. */
  readonly code: string | undefined;
  readonly port: number | undefined;

  constructor(message: string, code?: string, port?: number) {
    super(message);
    this.code = code;
    this.port = port;
  }
}

type Message<Report> = { report: Report } | { error: { message: string; code?: string; port?: number } };
type Notice = { notice: unknown };

/**
 * Starts the module `name` of this folder in a thread: the TypeScript file in tests, the built file otherwise.
 *
 * @throws WorkerThreadError if the thread reports that it cannot start, or ends before it has started
 */
export async function startWorkerThread<Report>(name: string, data: unknown): Promise<WorkerThread<Report>> {
  const worker = new Worker(new URL(import.meta.url.replace(/worker-thread(\.[jt]s)$/, `${name}$1`)), {
    workerData: data,
    execArgv: [],
  });
  const ended = new Promise<number>((resolve) => worker.once('exit', resolve));
  const failed = (async (): Promise<[Message<Report>]> => [
    { error: { message: `the thread ended with code ${await ended}` } },
  ])();
  // An uncaught exception of the thread rejects `once`.
  const [message] = (await Promise.race([once(worker, 'message'), failed])) as [Message<Report>];
  if ('error' in message) {
    await worker.terminate();
    throw new WorkerThreadError(message.error.message, message.error.code, message.error.port);
  }
  let stopped: Promise<number> | undefined;
  return {
    report: message.report,
    onNotice: (listener) => void worker.on('message', ({ notice }: Notice) => listener(notice)),
    stop: async () => {
      if (stopped === undefined) worker.postMessage('stop');
      stopped ??= ended;
      await stopped;
    },
  };
}

/**
 * Runs in the thread: starts the part, reports the result, and stops the part on request.
 * @param start `notify` sends a notice; none is sent before the part has started
 */
export async function runInWorkerThread<Data, Report>(
  start: (
    data: Data,
    notify: (notice: unknown) => void,
  ) => Promise<{ report: Report; stop(): Promise<unknown> }>,
): Promise<void> {
  if (isMainThread) throw new Error('This module runs in a worker thread.');
  try {
    const notify = (notice: unknown) => parentPort!.postMessage({ notice } satisfies Notice);
    const { report, stop } = await start(workerData as Data, notify);
    parentPort!.on('message', () => {
      stop().finally(() => process.exit());
    });
    parentPort!.postMessage({ report });
  } catch (error) {
    const { message, code, port } = error as NodeJS.ErrnoException & { port?: number };
    parentPort!.postMessage({ error: { message, code, port } });
  }
}

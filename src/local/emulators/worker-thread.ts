import { once } from 'node:events';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

/** A part of the local environment that runs in a thread of its own, so that it may have its own core. */
export interface WorkerThread<Report> {
  report: Report;
  /** Asks it to end in order, and waits for that. */
  stop(): Promise<void>;
}

/** Why a thread could not start. */
export class WorkerThreadError extends Error {
  override readonly name: string = 'WorkerThreadError';
  /** Node's code, such as EADDRINUSE. */
  readonly code: string | undefined;
  readonly port: number | undefined;

  constructor(message: string, code?: string, port?: number) {
    super(message);
    this.code = code;
    this.port = port;
  }
}

type Message<Report> = { report: Report } | { error: { message: string; code?: string; port?: number } };

/**
 * Starts the module `name` of this folder as a thread. It runs from TypeScript (tests) as from the build, since
 * it lies beside this file under the same ending.
 *
 * @throws WorkerThreadError where the thread says why it cannot start, or ends before it has started.
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
  // An exception that the thread did not catch rejects here.
  const [message] = (await Promise.race([once(worker, 'message'), failed])) as [Message<Report>];
  if ('error' in message) {
    await worker.terminate();
    throw new WorkerThreadError(message.error.message, message.error.code, message.error.port);
  }
  let stopped: Promise<number> | undefined;
  return {
    report: message.report,
    stop: async () => {
      if (stopped === undefined) worker.postMessage('stop');
      stopped ??= ended;
      await stopped;
    },
  };
}

/** The thread's own side: starts the part, tells what came of it, and ends it when asked to. */
export async function runInWorkerThread<Data, Report>(
  start: (data: Data) => Promise<{ report: Report; stop(): Promise<unknown> }>,
): Promise<void> {
  if (isMainThread) throw new Error('This module runs in a worker thread.');
  try {
    const { report, stop } = await start(workerData as Data);
    parentPort!.on('message', () => {
      stop().finally(() => process.exit());
    });
    parentPort!.postMessage({ report });
  } catch (error) {
    const { message, code, port } = error as NodeJS.ErrnoException & { port?: number };
    parentPort!.postMessage({ error: { message, code, port } });
  }
}

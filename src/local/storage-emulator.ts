import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { ConfigurationError } from '../errors.ts';

export interface StorageEmulatorOptions {
  /** Where blobs and queues are kept. It exists, and no other process uses it. */
  folder: string;
  /** Any free ports where absent or 0. */
  blobPort?: number;
  queuePort?: number;
}

export interface StorageEmulator {
  /** For the well-known development account. */
  connectionString: string;
  blobPort: number;
  queuePort: number;
  /** Writes what is left to write and ends. */
  stop(): Promise<void>;
}

/** What the worker thread says when it listens, or why it does not. */
export type WorkerReport =
  | { blobPort: number; queuePort: number }
  | { error: string; code?: string; port?: number };

/** The public account of every storage emulator (learn.microsoft.com: Use the Azurite emulator). */
const ACCOUNT = 'devstoreaccount1';
const ACCOUNT_KEY =
  'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';

/**
 * Runs Azurite's blob and queue services in a worker thread: one process, yet its hashing has a core of its
 * own. What a write has acknowledged survives a SIGKILL (see the worker).
 *
 * @throws ConfigurationError where a port is taken or its files cannot be read.
 */
export async function startStorageEmulator(options: StorageEmulatorOptions): Promise<StorageEmulator> {
  // Run from TypeScript (tests) or from the build: the worker lies beside this file under the same ending.
  const file = import.meta.url.replace(/storage-emulator(\.[jt]s)$/, 'storage-emulator-worker$1');
  const worker = new Worker(new URL(file), { workerData: options, execArgv: [] });
  const [report] = (await Promise.race([
    once(worker, 'message'),
    once(worker, 'exit').then(([code]) => [{ error: `its thread ended with code ${code}` }]),
  ])) as [WorkerReport];
  if ('error' in report) {
    await worker.terminate();
    throw report.code === 'EADDRINUSE'
      ? new ConfigurationError(`Port ${report.port} is taken`, {
          operation: 'start the storage emulator',
          object: String(report.port),
          hint: 'End what listens there, or choose another port.',
        })
      : new ConfigurationError(`The storage emulator cannot start: ${report.error}`, {
          operation: 'start the storage emulator',
          object: options.folder,
          hint: 'If its files are damaged, remove the folder: the next sync fills it anew.',
        });
  }
  const { blobPort, queuePort } = report;
  let stopped: Promise<void> | undefined;
  const stop = async () => {
    const ended = once(worker, 'exit');
    worker.postMessage('stop');
    await ended;
  };
  return {
    blobPort,
    queuePort,
    connectionString: [
      'DefaultEndpointsProtocol=http',
      `AccountName=${ACCOUNT}`,
      `AccountKey=${ACCOUNT_KEY}`,
      `BlobEndpoint=http://127.0.0.1:${blobPort}/${ACCOUNT}`,
      `QueueEndpoint=http://127.0.0.1:${queuePort}/${ACCOUNT}`,
    ].join(';'),
    stop: () => {
      stopped ??= stop();
      return stopped;
    },
  };
}

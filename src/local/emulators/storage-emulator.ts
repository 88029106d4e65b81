import { ConfigurationError } from '../../errors.ts';
import { startWorkerThread, WorkerThreadError } from './worker-thread.ts';

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

/** What the worker thread tells when it listens. */
export type Ports = Pick<StorageEmulator, 'blobPort' | 'queuePort'>;

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
  const { report, stop } = await startWorkerThread<Ports>('storage-emulator-worker', options).catch(
    (cause) => {
      throw explained(cause, options);
    },
  );
  return {
    ...report,
    connectionString: [
      'DefaultEndpointsProtocol=http',
      `AccountName=${ACCOUNT}`,
      `AccountKey=${ACCOUNT_KEY}`,
      `BlobEndpoint=http://127.0.0.1:${report.blobPort}/${ACCOUNT}`,
      `QueueEndpoint=http://127.0.0.1:${report.queuePort}/${ACCOUNT}`,
    ].join(';'),
    stop,
  };
}

function explained(cause: unknown, options: StorageEmulatorOptions): unknown {
  if (!(cause instanceof WorkerThreadError)) return cause;
  const operation = 'start the storage emulator';
  if (cause.code === 'EADDRINUSE') {
    return new ConfigurationError(`Port ${cause.port} is taken`, {
      operation,
      object: String(cause.port),
      hint: 'End what listens there, or choose another port.',
      cause,
    });
  }
  return new ConfigurationError(`The storage emulator cannot start: ${cause.message}`, {
    operation,
    object: options.folder,
    hint: `If its files are damaged, remove the folder ${options.folder}: the next sync fills it anew.`,
    cause,
  });
}

import { ConfigurationError } from '../../errors.ts';
import { startWorkerThread, WorkerThreadError } from './worker-thread.ts';

export interface StorageEmulatorOptions {
  /** Where blobs and queues are stored. The folder exists, and no other process uses it. */
  folder: string;
  /** Absent or 0: any free port. */
  blobPort?: number;
  queuePort?: number;
  /** Base64. Without it, the account has the key that every emulator has, and that everybody knows. */
  accountKey?: string;
}

export interface StorageEmulatorPorts {
  blobPort: number;
  queuePort: number;
}

export interface StorageEmulator extends StorageEmulatorPorts {
  connectionString: string;
  /**
   * Calls the listener with the name of a queue each time that a message in it becomes visible: a new one or one that was
   * released, after the time for which it stays hidden. What was hidden before this process started is not told of.
   */
  onQueueMessage(listener: (queue: string) => void): void;
  /** Saves what is not saved yet, and stops. */
  stop(): Promise<void>;
}

/** The account of every storage emulator, and its public key (learn.microsoft.com: Use the Azurite emulator). */
export const emulatorAccount = 'devstoreaccount1';
export const publicKey =
  'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';

/**
 * Runs Azurite's blob and queue services in a worker thread, so that its hashing can use another core. A write that
 * was acknowledged survives a SIGKILL (see storage-emulator-worker.ts).
 *
 * @throws ConfigurationError if a port is taken or the stored files cannot be read
 */
export async function startStorageEmulator(options: StorageEmulatorOptions): Promise<StorageEmulator> {
  try {
    const { report, stop, onNotice } = await startWorkerThread<StorageEmulatorPorts>(
      'storage-emulator-worker',
      options,
    );
    const connectionString = emulatorConnectionString(report, options.accountKey);
    const onQueueMessage = (listener: (queue: string) => void) =>
      onNotice((name) => listener(name as string));
    return { ...report, connectionString, onQueueMessage, stop };
  } catch (cause) {
    throw startError(cause, options.folder);
  }
}

/** The connection string of a storage emulator on this machine. */
export function emulatorConnectionString(
  { blobPort, queuePort }: StorageEmulatorPorts,
  accountKey = publicKey,
): string {
  return [
    'DefaultEndpointsProtocol=http',
    `AccountName=${emulatorAccount}`,
    `AccountKey=${accountKey}`,
    `BlobEndpoint=http://127.0.0.1:${blobPort}/${emulatorAccount}`,
    `QueueEndpoint=http://127.0.0.1:${queuePort}/${emulatorAccount}`,
  ].join(';');
}

function startError(cause: unknown, folder: string): unknown {
  if (!(cause instanceof WorkerThreadError)) return cause;
  const operation = 'start the storage emulator';
  if (cause.code === 'EADDRINUSE') {
    return new ConfigurationError(`Port ${cause.port} is taken`, {
      operation,
      object: String(cause.port),
      hint: 'Stop the process that listens there, or choose another port.',
      cause,
    });
  }
  return new ConfigurationError(`The storage emulator cannot start: ${cause.message}`, {
    operation,
    object: folder,
    hint: `If its files are damaged, delete the folder ${folder}; the next sync fills it again.`,
    cause,
  });
}

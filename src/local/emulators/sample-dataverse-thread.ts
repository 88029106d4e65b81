import { ConfigurationError } from '../../errors.ts';
import type { SampleDataverseOptions } from '../sample-dataverse/index.ts';
import { startWorkerThread, type WorkerThread, WorkerThreadError } from './worker-thread.ts';

export interface SampleThreadOptions
  extends Pick<SampleDataverseOptions, 'rows' | 'metadata' | 'tables' | 'seed'> {
  /** When the newest row was created, in ISO 8601. The same time gives the same rows at each start. */
  since: string;
  /** The port of the last start, because stored delta links contain it. Absent: any free port. */
  port?: number;
  /** Its rows keep changing. */
  live?: boolean;
}

/** @throws ConfigurationError if the port is taken, or the metadata document is absent or lacks a table */
export async function startSampleDataverseThread(
  options: SampleThreadOptions,
): Promise<WorkerThread<{ url: string }>> {
  const { port, metadata } = options;
  return startWorkerThread<{ url: string }>('sample-dataverse-worker', options).catch((cause: Error) => {
    const operation = 'start the sample Dataverse';
    if (cause instanceof WorkerThreadError && cause.code === 'EADDRINUSE') {
      throw new ConfigurationError(`Port ${port}, which the sample Dataverse used before, is taken`, {
        operation,
        object: String(port),
        hint: 'Stop the process that listens there, or choose another data folder with --data.',
        cause,
      });
    }
    throw new ConfigurationError(`The sample Dataverse cannot start: ${cause.message}`, {
      operation,
      object: metadata,
      hint: metadata && `Check that ${metadata} is a $metadata document and has the tables to sync.`,
      cause,
    });
  });
}

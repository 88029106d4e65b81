import { ConfigurationError } from '../../errors.ts';
import { startWorkerThread, type WorkerThread, WorkerThreadError } from './worker-thread.ts';

export interface SampleThreadOptions {
  /** Rows in all. */
  rows: number;
  /** When the newest row was made, in ISO 8601: with it the rows are the same at each start. */
  since: string;
  /** A real `$metadata` document that is served instead of the sample's own. */
  metadata?: string;
  /** Logical names of the tables that get rows. */
  tables?: string[];
  /** Where it listened before: the links that a sync stored lead there. Any port where absent. */
  port?: number;
}

/** @throws ConfigurationError where the port is taken, or the metadata document is absent or lacks a table. */
export async function startSampleDataverseThread(
  options: SampleThreadOptions,
): Promise<WorkerThread<{ url: string }>> {
  return startWorkerThread<{ url: string }>('sample-dataverse-worker', options).catch((cause: Error) => {
    if (cause instanceof WorkerThreadError && cause.code === 'EADDRINUSE') {
      throw new ConfigurationError(
        `Port ${options.port}, where the sample Dataverse listened before, is taken`,
        {
          operation: 'start the sample Dataverse',
          object: String(options.port),
          hint: 'End what listens there, or choose another data folder with --data.',
          cause,
        },
      );
    }
    throw new ConfigurationError(`The sample Dataverse cannot start: ${cause.message}`, {
      operation: 'start the sample Dataverse',
      ...(options.metadata !== undefined && {
        object: options.metadata,
        hint: `Is ${options.metadata} a $metadata document that has the tables asked for?`,
      }),
      cause,
    });
  });
}

import { ConfigurationError } from '../errors.ts';
import { startWorkerThread, type WorkerThread } from './worker-thread.ts';

export interface SampleThreadOptions {
  /** Rows in all. */
  rows: number;
  /** When the newest row was made, in ISO 8601: with it the rows are the same at each start. */
  since: string;
  /** A real `$metadata` document that is served instead of the sample's own. */
  metadata?: string;
  /** Logical names of the tables that get rows. */
  tables?: string[];
  /** Taken where it is free, so that links that were stored stay good; otherwise any. */
  port?: number;
}

/** @throws ConfigurationError where the metadata document cannot be read, or lacks a table. */
export async function startSampleDataverseThread(
  options: SampleThreadOptions,
): Promise<WorkerThread<{ url: string }>> {
  return startWorkerThread<{ url: string }>('sample-dataverse-worker', options).catch((cause: Error) => {
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

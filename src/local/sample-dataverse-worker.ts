import { type SampleDataverseOptions, startSampleDataverse } from './sample-dataverse/index.ts';
import type { SampleThreadOptions } from './sample-dataverse-thread.ts';
import { runInWorkerThread } from './worker-thread.ts';

/** The sample Dataverse in a thread of its own, so that making rows and pages takes no time from the sync. */
await runInWorkerThread(async ({ since, ...options }: SampleThreadOptions) => {
  // The rows' times count back from the first look at the clock: the same rows at each start.
  let moments = 0;
  const clock = () => (moments++ === 0 ? new Date(since) : new Date());
  const start = (port: number) =>
    startSampleDataverse({ ...options, clock, port } satisfies SampleDataverseOptions);
  const dataverse = await start(options.port ?? 0).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EADDRINUSE') throw error;
    moments = 0;
    return start(0);
  });
  return { report: { url: dataverse.url }, stop: () => dataverse.stop() };
});

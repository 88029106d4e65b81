import { randomInt } from 'node:crypto';
import { type SampleDataverse, startSampleDataverse } from '../sample-dataverse/index.ts';
import type { SampleThreadOptions } from './sample-dataverse-thread.ts';
import { runInWorkerThread } from './worker-thread.ts';

/** Below the ports that operating systems give away by themselves, so that it is likely free the next time too. */
const somePort = () => randomInt(20_000, 30_000);

/** The sample Dataverse in a thread of its own, so that making rows and pages takes no time from the sync. */
await runInWorkerThread(async ({ since, port, ...options }: SampleThreadOptions) => {
  const start = async (triedPort: number): Promise<SampleDataverse> => {
    // The rows' times count back from the first look at the clock: the same rows at each start.
    let moments = 0;
    const clock = () => (moments++ === 0 ? new Date(since) : new Date());
    try {
      return await startSampleDataverse({ ...options, clock, port: triedPort });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE' && port === undefined)
        return start(somePort());
      throw error;
    }
  };
  const dataverse = await start(port ?? somePort());
  return { report: { url: dataverse.url }, stop: () => dataverse.stop() };
});

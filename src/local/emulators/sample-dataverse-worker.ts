import { randomInt } from 'node:crypto';
import { isForeign } from '../foreign-requests.ts';
import { type SampleDataverse, startSampleDataverse } from '../sample-dataverse/index.ts';
import { keepChanging } from '../sample-dataverse/keep-changing.ts';
import type { SampleThreadOptions } from './sample-dataverse-thread.ts';
import { runInWorkerThread } from './worker-thread.ts';

/** A port below the range from which operating systems assign ports, so that it is likely free at the next start. */
const randomPort = () => randomInt(20_000, 30_000);

/** The sample Dataverse in a thread of its own, so that generating rows and pages does not slow the sync down. */
await runInWorkerThread(async ({ since, port, live, ...options }: SampleThreadOptions) => {
  const start = async (triedPort: number): Promise<SampleDataverse> => {
    // The first reading of the clock dates the rows: a fixed time gives the same rows at each start.
    let readings = 0;
    const clock = () => (readings++ === 0 ? new Date(since) : new Date());
    try {
      return await startSampleDataverse({
        ...options,
        hostileValues: false,
        clock,
        port: triedPort,
        rejects: isForeign,
      });
    } catch (error) {
      const isTaken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
      if (isTaken && port === undefined) return start(randomPort());
      throw error;
    }
  };
  const dataverse = await start(port ?? randomPort());
  if (live) keepChanging(dataverse.store);
  return { report: { url: dataverse.url }, stop: () => dataverse.stop() };
});

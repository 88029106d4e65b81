import { app } from '@azure/functions';
import { syncServices } from '../services.ts';
import { startRun } from '../sync/run/start-run.ts';
import { inInvocation } from '../telemetry/invocation-log.ts';

/** Starts a sync on the schedule of the app setting `SYNC_SCHEDULE`; a live run is left alone, a stale one resumed. */
app.timer('syncTimer', {
  schedule: '%SYNC_SCHEDULE%',
  handler: (_timer, context) =>
    inInvocation(context, async () => {
      const result = await startRun(await syncServices(), { trigger: 'timer' });
      // Thrown, so that the invocation counts as failed where failures are watched.
      if (result.outcome === 'failed') throw result.error;
    }),
});

import { app } from '@azure/functions';
import { syncServices } from '../../services.ts';
import { startRun } from '../../sync/run/start-run.ts';
import { inInvocation } from '../../telemetry/invocation-log.ts';

/** Starts a sync on the schedule of the app setting `SYNC_SCHEDULE`. It resumes a stale run and skips a live one. */
app.timer('syncTimer', {
  schedule: '%SYNC_SCHEDULE%',
  handler: inInvocation(async () => void (await startRun(await syncServices(), { trigger: 'timer' }))),
});

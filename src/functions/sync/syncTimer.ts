import { app } from '@azure/functions';
import { syncServices } from '../../services.ts';
import { startScheduledRun } from '../../sync/changes/start-changes.ts';
import { inInvocation } from '../../telemetry/invocation-log.ts';

/** Starts a sync on the schedule of the app setting `SYNC_SCHEDULE`. It resumes a stale run and skips a live one of all tables. */
app.timer('syncTimer', {
  schedule: '%SYNC_SCHEDULE%',
  handler: inInvocation(async () => startScheduledRun(await syncServices())),
});

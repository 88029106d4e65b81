import { registerTimer } from '../../register-functions.ts';
import { syncServices } from '../../services.ts';
import { startScheduledRun } from '../../sync/changes/start-changes.ts';

/** Starts a sync on the schedule of the app setting `SYNC_SCHEDULE`. It resumes a stale run and skips a live one of all tables. */
registerTimer('syncTimer', (environment) => async () => startScheduledRun(await syncServices(environment)));

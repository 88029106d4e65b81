import { app } from '@azure/functions';
import { invalidSettings } from '../../config/invalid-settings.ts';
import { serve } from '../../http/handler.ts';
import { getHealth } from '../../http/operations/get-health.ts';
import { syncServices } from '../../services.ts';
import { lastSuccess } from '../../sync/run/last-success.ts';

/** `GET /api/health`: whether the app can run, for monitors and without a key. */
app.http('health', {
  route: 'health',
  ...serve(() => undefined, {
    GET: getHealth({
      invalidSettings,
      lastSuccess: async () => lastSuccess(await syncServices()),
      askDatabase: async () => (await syncServices()).mirror.ask(),
    }),
  }),
  authLevel: 'anonymous',
});

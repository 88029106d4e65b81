import { invalidSettings } from '../../config/invalid-settings.ts';
import { serve } from '../../http/handler.ts';
import { getHealth } from '../../http/operations/get-health.ts';
import { registerHttp } from '../../register-functions.ts';
import { syncServices } from '../../services.ts';
import { lastSuccess } from '../../sync/run/last-success.ts';

/** `GET /api/health`: whether the app can run, for monitors and without a key. */
registerHttp('health', 'health', (environment) => ({
  ...serve(() => undefined, {
    GET: getHealth({
      invalidSettings: () => invalidSettings(environment.settings),
      lastSuccess: async () => lastSuccess(await syncServices(environment)),
      askDatabase: async () => (await syncServices(environment)).mirror.ask(),
    }),
  }),
  authLevel: 'anonymous',
}));

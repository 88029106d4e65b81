import { checkEnvironments } from '../../check-services.ts';
import { appEnvironments } from '../../config/environments/read-environments.ts';
import { serve } from '../../http/handler.ts';
import { getCheck } from '../../http/operations/get-check.ts';
import { registerHttp } from '../../register-functions.ts';

/** `GET /api/check`: tries everything that the app needs, with real requests; with the name of an environment, what that one needs. */
registerHttp('check', 'check', (environment) =>
  serve(() => undefined, { GET: getCheck(() => checkEnvironments(environment, appEnvironments())) }),
);

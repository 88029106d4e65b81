import { serve } from '../../http/handler.ts';
import { syncResource } from '../../http/sync/sync-resource.ts';
import { registerHttp } from '../../register-functions.ts';
import { syncServices } from '../../services.ts';

/** `GET /api/sync` lists the live run and the latest ones, `GET /api/sync/{runId}` shows one run. */
registerHttp('syncStatus', 'sync/{runId?}', (environment) => ({
  ...serve(() => syncServices(environment), syncResource, { isOfPages: true }),
  methods: ['GET', 'HEAD', 'OPTIONS', 'PUT', 'PATCH', 'DELETE'],
}));

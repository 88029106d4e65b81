import { serve } from '../../http/handler.ts';
import { syncResource } from '../../http/sync/sync-resource.ts';
import { registerHttp } from '../../register-functions.ts';
import { syncServices } from '../../services.ts';

/** `POST /api/sync` starts a sync: 202 with the run's id and status address, 409 if a run is live. */
registerHttp('syncStart', 'sync/{runId?}', (environment) => ({
  ...serve(() => syncServices(environment), syncResource, { isOfPages: true }),
  methods: ['POST'],
}));

import { app } from '@azure/functions';
import { serve } from '../../http/handler.ts';
import { syncResource } from '../../http/sync/sync-resource.ts';
import { syncServices } from '../../services.ts';

/** `GET /api/sync` lists the live run and the latest ones, `GET /api/sync/{runId}` shows one run. */
app.http('syncStatus', {
  route: 'sync/{runId?}',
  ...serve(syncServices, syncResource, { isOfPages: true }),
  methods: ['GET', 'HEAD', 'OPTIONS', 'PUT', 'PATCH', 'DELETE'],
});

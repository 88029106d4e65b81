import { app } from '@azure/functions';
import { serve } from '../../http/handler.ts';
import { syncResource } from '../../http/sync/sync-resource.ts';
import { syncServices } from '../../services.ts';

/** `POST /api/sync` starts a sync: 202 with the run's id and status address, 409 if a run is live. */
app.http('syncStart', {
  route: 'sync/{runId?}',
  ...serve(syncServices, syncResource, { isOfPages: true }),
  methods: ['POST'],
});

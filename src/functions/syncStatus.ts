import { app } from '@azure/functions';
import { notFound, problemResponse } from '../http/responses.ts';
import { syncServices } from '../services.ts';
import { runStatus, syncStatus } from '../sync/run-status.ts';
import { inInvocation } from '../telemetry/invocation-log.ts';

/** `GET /api/sync` lists the live run and the latest ones; `GET /api/sync/{runId}` tells one run in full. */
app.http('syncStatus', {
  route: 'sync/{runId?}',
  methods: ['GET'],
  authLevel: 'function',
  handler: (request, context) =>
    inInvocation(context, async () => {
      try {
        const services = await syncServices();
        const { runId } = request.params;
        if (runId === undefined || runId === '') return { jsonBody: await syncStatus(services) };
        const status = await runStatus(services, runId);
        return status === undefined ? notFound(`There is no run ${runId}.`) : { jsonBody: status };
      } catch (error) {
        return problemResponse(error);
      }
    }),
});

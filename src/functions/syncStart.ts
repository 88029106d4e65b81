import { app, type HttpRequest } from '@azure/functions';
import { problemResponse, statusResponse } from '../http/responses.ts';
import { parseStartRequest } from '../http/sync/start-request.ts';
import { syncServices } from '../services.ts';
import { startRun } from '../sync/run/start-run.ts';
import { inInvocation } from '../telemetry/invocation-log.ts';

/** `POST /api/sync` starts a sync: 202 with the run's id and status address, 409 where a run is live. */
app.http('syncStart', {
  route: 'sync',
  methods: ['POST'],
  authLevel: 'function',
  handler: inInvocation(async (request: HttpRequest) => {
    try {
      const options = parseStartRequest(await request.text());
      const result = await startRun(await syncServices(), { trigger: 'http', ...options });
      if (result.outcome === 'failed') return problemResponse(result.error, { runId: result.runId });
      return statusResponse(request.url, result);
    } catch (error) {
      return problemResponse(error);
    }
  }),
});

import { app, type HttpRequest } from '@azure/functions';
import { prefersHtml } from '../http/accept.ts';
import { problemPage } from '../http/pages/problem-page.ts';
import { notFound, problemResponse } from '../http/responses.ts';
import { overviewPage, runPage, statusLinks } from '../http/sync/status-page.ts';
import { syncServices } from '../services.ts';
import { runStatus, syncStatus } from '../sync/run/run-status.ts';
import { inInvocation } from '../telemetry/invocation-log.ts';

/**
 * `GET /api/sync` lists the live run and the latest ones; `GET /api/sync/{runId}` tells one run in full.
 * A browser gets a page, anything else JSON.
 */
app.http('syncStatus', {
  route: 'sync/{runId?}',
  methods: ['GET'],
  authLevel: 'function',
  handler: inInvocation(async (request: HttpRequest) => {
    const asPage = prefersHtml(request.headers.get('accept'));
    const vary = { vary: 'Accept' };
    try {
      const services = await syncServices();
      const runId = request.params['runId'] || undefined;
      const links = statusLinks(request.url, runId);
      if (runId === undefined) {
        const status = await syncStatus(services);
        return asPage ? overviewPage(status, links) : { headers: vary, jsonBody: status };
      }
      const status = await runStatus(services, runId);
      if (status === undefined) {
        const absent = notFound(`There is no run ${runId}.`);
        return asPage ? problemPage(absent) : absent;
      }
      return asPage ? runPage(status, links) : { headers: vary, jsonBody: status };
    } catch (error) {
      const problem = problemResponse(error);
      return asPage ? problemPage(problem) : problem;
    }
  }),
});

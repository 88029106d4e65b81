import type { HttpRequest, HttpResponseInit } from '@azure/functions';
import type { SyncServices } from '../../sync/documents/services.ts';
import { runStatus, syncStatus } from '../../sync/run/run-status.ts';
import { prefersHtml } from '../accept.ts';
import { linksOf, type PageName } from '../dashboard/links.ts';
import type { Handler } from '../handler.ts';
import { Problem } from '../problem.ts';

/** `GET /api/sync`: the live run and the latest ones, as JSON. A browser is led to the page. */
export const getSync: Handler<SyncServices> = async (services, request) =>
  asPage(request) ? toPage(request, 'overview') : { jsonBody: await syncStatus(services) };

/** `GET /api/sync/{runId}`: one run with all its tables, as JSON. A browser is led to the page. */
export const getSyncRun: Handler<SyncServices> = async (services, request) => {
  const runId = request.params['runId'] ?? '';
  const status = await runStatus(services, runId);
  if (status === undefined) {
    throw new Problem(404, `Run ${runId} not found.`, { hint: 'GET /api/sync lists the latest runs.' });
  }
  return asPage(request) ? toPage(request, 'runs', runId) : { jsonBody: status };
};

function asPage(request: HttpRequest): boolean {
  return prefersHtml(request.headers.get('accept'));
}

function toPage(request: HttpRequest, name: PageName, item?: string): HttpResponseInit {
  return { status: 302, headers: { location: linksOf(request).page(name, item) } };
}

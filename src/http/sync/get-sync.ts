import type { HttpRequest } from '@azure/functions';
import { checkStatus } from '../../sync/check/check-status.ts';
import type { SyncServices } from '../../sync/documents/services.ts';
import { runStatus, syncStatus } from '../../sync/run/run-status.ts';
import { prefersHtml } from '../accept.ts';
import type { Handler } from '../handler.ts';
import { Problem } from '../problem.ts';
import { overviewPage, runPage, statusLinks } from './status-page.ts';

/** `GET /api/sync`: the live run and the latest ones, as a page for browsers, else as JSON. */
export const getSync: Handler<SyncServices> = async (services, request) => {
  const status = await syncStatus(services);
  if (!asPage(request)) return { jsonBody: status };
  return overviewPage(status, statusLinks(request), await checkStatus(services));
};

/** `GET /api/sync/{runId}`: one run with all its tables, as a page for browsers, else as JSON. */
export const getSyncRun: Handler<SyncServices> = async (services, request) => {
  const runId = request.params['runId'] ?? '';
  const status = await runStatus(services, runId);
  if (status === undefined) {
    throw new Problem(404, `Run ${runId} not found.`, { hint: 'GET /api/sync lists the latest runs.' });
  }
  return asPage(request) ? runPage(status, statusLinks(request)) : { jsonBody: status };
};

function asPage(request: HttpRequest): boolean {
  return prefersHtml(request.headers.get('accept'));
}

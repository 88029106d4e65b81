import type { HttpRequest } from '@azure/functions';
import type { SyncServices } from '../../sync/documents/services.ts';
import type { Resource } from '../handler.ts';
import { getHistory } from './get-history.ts';
import { getSync, getSyncRun } from './get-sync.ts';
import { postSync } from './post-sync.ts';

/**
 * `/api/sync`, `/api/sync/{runId}` and `/api/sync/history`. The functions `syncStart` and `syncStatus` share both addresses: one takes POST,
 * the other all other methods. Their methods must not overlap, or the order of the routes in the host decides between
 * them (github.com/Azure/azure-webjobs-sdk-extensions, WebJobsRouteBuilder.cs).
 */
export function syncResource(request: HttpRequest): Resource<SyncServices> {
  const runId = request.params['runId'] ?? '';
  if (runId === 'history') return { GET: getHistory };
  return runId !== ''
    ? { GET: getSyncRun, hasPages: true }
    : { GET: getSync, POST: postSync, hasPages: true };
}

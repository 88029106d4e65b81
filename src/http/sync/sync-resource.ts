import type { HttpRequest } from '@azure/functions';
import type { SyncServices } from '../../sync/documents/services.ts';
import type { Resource } from '../handler.ts';
import { getSync, getSyncRun } from './get-sync.ts';
import { postSync } from './post-sync.ts';

/**
 * `/api/sync` and `/api/sync/{runId}`. The functions `syncStart` and `syncStatus` share both addresses: one takes POST,
 * the other all other methods. Their methods must not overlap, or the order of the routes in the host decides between
 * them (github.com/Azure/azure-webjobs-sdk-extensions, WebJobsRouteBuilder.cs).
 */
export function syncResource(request: HttpRequest): Resource<SyncServices> {
  const isRun = (request.params['runId'] ?? '') !== '';
  return isRun ? { GET: getSyncRun, hasPages: true } : { GET: getSync, POST: postSync, hasPages: true };
}

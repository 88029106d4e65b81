import { startCheck } from '../../sync/check/start-check.ts';
import type { SyncServices } from '../../sync/documents/services.ts';
import { address } from '../address.ts';
import type { Handler } from '../handler.ts';
import { noDatabase } from './get-verify.ts';

/** `POST /api/verify` starts a check of the whole database: 202 with the check's id and status address, 409 if one is live. */
export const postVerify: Handler<SyncServices> = async (services, request) => {
  const { databaseEtag } = (await services.mirror.lastState()) ?? {};
  if (databaseEtag === undefined) throw noDatabase();
  const started = await startCheck(services, 'http');
  const statusUrl = address(request, 'verify');
  return {
    status: started.outcome === 'live' ? 409 : 202,
    headers: { location: statusUrl },
    jsonBody: { ...started, statusUrl },
  };
};

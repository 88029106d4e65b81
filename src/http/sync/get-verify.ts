import type { SyncServices } from '../../sync/documents/services.ts';
import { verify } from '../../sync/run/verify.ts';
import type { Handler } from '../handler.ts';
import { Problem } from '../problem.ts';

/**
 * `GET /api/verify`: the references in the database whose target row is missing, with examples, and the latest check of the
 * whole database: how far it is, and what the last complete one found.
 */
export const getVerify: Handler<SyncServices> = async (services) => {
  const report = await verify(services);
  if (report === undefined) throw noDatabase();
  return { jsonBody: report };
};

export function noDatabase(): Problem {
  return new Problem(404, 'There is no database before the first sync.', {
    hint: 'Start a sync with POST /api/sync.',
  });
}

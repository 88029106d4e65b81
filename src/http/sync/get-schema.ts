import type { SyncServices } from '../../sync/documents/services.ts';
import { readSchemaReport, readSchemaReportMarkdown } from '../../sync/plan/validate-schema.ts';
import type { Handler } from '../handler.ts';
import { Problem } from '../problem.ts';

/** `GET /api/schema`: how the database's schema differs from that of Dataverse; `?format=markdown` for people. */
export const getSchema: Handler<SyncServices> = async (services, request) => {
  const asMarkdown = request.query.get('format') === 'markdown';
  const report = await (asMarkdown ? readSchemaReportMarkdown(services) : readSchemaReport(services));
  if (report === undefined) {
    throw new Problem(404, 'There is no schema report before the first sync.', {
      hint: 'Start a sync with POST /api/sync.',
    });
  }
  if (typeof report !== 'string') return { jsonBody: report };
  return { headers: { 'content-type': 'text/markdown; charset=utf-8' }, body: report };
};

import { app, type HttpRequest } from '@azure/functions';
import { notFound, problemResponse } from '../http/responses.ts';
import { syncServices } from '../services.ts';
import { readSchemaReport, readSchemaReportMarkdown } from '../sync/plan/validate-schema.ts';
import { inInvocation } from '../telemetry/invocation-log.ts';

/** `GET /api/schema`: how the database's schema differs from Dataverse's; `?format=markdown` for people. */
app.http('schemaReport', {
  route: 'schema',
  methods: ['GET'],
  authLevel: 'function',
  handler: inInvocation(async (request: HttpRequest) => {
    try {
      const services = await syncServices();
      if (request.query.get('format') === 'markdown') {
        const body = await readSchemaReportMarkdown(services);
        if (body === undefined) return notFound('There is no schema report before the first sync.');
        return { headers: { 'content-type': 'text/markdown; charset=utf-8' }, body };
      }
      const report = await readSchemaReport(services);
      if (report === undefined) return notFound('There is no schema report before the first sync.');
      return { jsonBody: report };
    } catch (error) {
      return problemResponse(error);
    }
  }),
});

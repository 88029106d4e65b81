import { app } from '@azure/functions';
import { notFound, problemResponse } from '../http/responses.ts';
import { syncServices } from '../services.ts';
import { verify } from '../sync/run/verify.ts';
import { inInvocation } from '../telemetry/invocation-log.ts';

/** `GET /api/verify` tells which references in the database point to rows that are not in it, with examples. */
app.http('verify', {
  route: 'verify',
  methods: ['GET'],
  authLevel: 'function',
  handler: inInvocation(async () => {
    try {
      const report = await verify(await syncServices());
      return report === undefined
        ? notFound('There is no database yet: start a sync first.')
        : { jsonBody: report };
    } catch (error) {
      return problemResponse(error);
    }
  }),
});

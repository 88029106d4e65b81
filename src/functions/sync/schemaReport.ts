import { app } from '@azure/functions';
import { serve } from '../../http/handler.ts';
import { getSchema } from '../../http/sync/get-schema.ts';
import { syncServices } from '../../services.ts';

/** `GET /api/schema`: how the database's schema differs from that of Dataverse. */
app.http('schemaReport', {
  route: 'schema',
  ...serve(syncServices, { GET: getSchema }, { isOfPages: true }),
});

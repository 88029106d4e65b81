import { serve } from '../../http/handler.ts';
import { getSchema } from '../../http/sync/get-schema.ts';
import { registerHttp } from '../../register-functions.ts';
import { syncServices } from '../../services.ts';

/** `GET /api/schema`: how the database's schema differs from that of Dataverse. */
registerHttp('schemaReport', 'schema', (environment) =>
  serve(() => syncServices(environment), { GET: getSchema }, { isOfPages: true }),
);

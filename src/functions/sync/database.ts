import { serve } from '../../http/handler.ts';
import { getDatabase } from '../../http/sync/get-database.ts';
import { registerHttp } from '../../register-functions.ts';
import { publishedDatabases } from '../../services.ts';

/** `GET /api/database`: the database file, or a range of it. */
registerHttp('database', 'database', (environment) =>
  serve(() => publishedDatabases(environment), { GET: getDatabase }, { isOfPages: true }),
);

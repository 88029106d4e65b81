import { serve } from '../../http/handler.ts';
import { getQuery, postQuery } from '../../http/sync/query.ts';
import { registerHttp } from '../../register-functions.ts';
import { mirrorQueries } from '../../services.ts';

/** `POST /api/query`: the rows of a statement that reads a mirror in PostgreSQL. */
registerHttp('query', 'query', (environment) =>
  serve(
    () => mirrorQueries(environment),
    { GET: getQuery, POST: postQuery },
    { isOfPages: true, readsByPost: true },
  ),
);

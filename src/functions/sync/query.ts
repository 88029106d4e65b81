import { app } from '@azure/functions';
import { serve } from '../../http/handler.ts';
import { getQuery, postQuery } from '../../http/sync/query.ts';
import { mirrorQueries } from '../../services.ts';

/** `POST /api/query`: the rows of a statement that reads a mirror in PostgreSQL. */
app.http('query', {
  route: 'query',
  ...serve(mirrorQueries, { GET: getQuery, POST: postQuery }, { isOfPages: true, readsByPost: true }),
});

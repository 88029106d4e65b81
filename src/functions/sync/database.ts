import { app } from '@azure/functions';
import { serve } from '../../http/handler.ts';
import { getDatabase } from '../../http/sync/get-database.ts';
import { publishedDatabase } from '../../services.ts';

/** `GET /api/database`: the database file, or a range of it. */
app.http('database', {
  route: 'database',
  ...serve(() => publishedDatabase, { GET: getDatabase }, { isOfPages: true }),
});

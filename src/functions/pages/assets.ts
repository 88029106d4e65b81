import { app } from '@azure/functions';
import { getAsset } from '../../http/dashboard/assets.ts';
import { serve } from '../../http/handler.ts';

/** `GET /api/assets/{name}`: the code of the pages. It holds no data. */
app.http('assets', {
  route: 'assets/{name}',
  ...serve(() => undefined, { GET: getAsset }),
  authLevel: 'anonymous',
});

import { getAsset } from '../../http/dashboard/assets.ts';
import { serve } from '../../http/handler.ts';
import { registerHttp } from '../../register-functions.ts';

/** `GET /api/assets/{name}`: the code of the pages. It holds no data. */
registerHttp('assets', 'assets/{name}', () => ({
  ...serve(() => undefined, { GET: getAsset }),
  authLevel: 'anonymous',
}));

import { getShell } from '../../http/dashboard/shell.ts';
import { serve } from '../../http/handler.ts';
import { registerHttp } from '../../register-functions.ts';

/** `GET /api/dashboard`: the document that asks for the function key and loads the pages with it. It holds no data. */
registerHttp('dashboard', 'dashboard/{page?}/{item?}', () => ({
  ...serve(() => undefined, { GET: getShell }),
  authLevel: 'anonymous',
}));

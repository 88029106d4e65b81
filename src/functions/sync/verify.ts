import { serve } from '../../http/handler.ts';
import { getVerify } from '../../http/sync/get-verify.ts';
import { postVerify } from '../../http/sync/post-verify.ts';
import { registerHttp } from '../../register-functions.ts';
import { syncServices } from '../../services.ts';

/**
 * `GET /api/verify`: references in the database whose target row is missing, and what checks of the whole database found.
 * `POST /api/verify` starts such a check: 202, or 409 if one is running.
 */
registerHttp('verify', 'verify', (environment) =>
  serve(() => syncServices(environment), { GET: getVerify, POST: postVerify }, { isOfPages: true }),
);

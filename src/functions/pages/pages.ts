import { getPage } from '../../http/dashboard/get-page.ts';
import { serve } from '../../http/handler.ts';
import { pageEnvironments, pageReads } from '../../pages-services.ts';
import { registerHttp } from '../../register-functions.ts';
import { syncServices } from '../../services.ts';

/** `GET /api/pages/{page?}/{item?}`: the pages of the dashboard. */
registerHttp('pages', 'pages/{page?}/{item?}', (environment) =>
  serve(
    () => syncServices(environment),
    { GET: getPage(environment, pageReads(environment), pageEnvironments()), hasPages: true },
    { isOfPages: true },
  ),
);

import { app } from '@azure/functions';
import { getPage } from '../../http/dashboard/get-page.ts';
import { serve } from '../../http/handler.ts';
import { pageReads } from '../../pages-services.ts';
import { syncServices } from '../../services.ts';

/** `GET /api/pages/{page?}/{item?}`: the pages of the dashboard. */
app.http('pages', {
  route: 'pages/{page?}/{item?}',
  ...serve(
    syncServices,
    { GET: getPage(() => process.env['SYNC_SCHEDULE'], pageReads), hasPages: true },
    { isOfPages: true },
  ),
});

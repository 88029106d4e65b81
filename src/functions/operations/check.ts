import { app } from '@azure/functions';
import { checkEverything } from '../../check-services.ts';
import { serve } from '../../http/handler.ts';
import { getCheck } from '../../http/operations/get-check.ts';

/** `GET /api/check`: tries everything that the app needs, with real requests. */
app.http('check', {
  route: 'check',
  ...serve(() => undefined, { GET: getCheck(() => checkEverything()) }),
});

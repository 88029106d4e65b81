import { app } from '@azure/functions';
import { serve } from '../../http/handler.ts';
import { getVerify } from '../../http/sync/get-verify.ts';
import { syncServices } from '../../services.ts';

/** `GET /api/verify`: the references in the database whose target row is missing. */
app.http('verify', { route: 'verify', ...serve(syncServices, { GET: getVerify }) });

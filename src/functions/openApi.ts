import { app } from '@azure/functions';
import { serve } from '../http/handler.ts';
import { getOpenApi } from '../http/metrics/openapi.ts';

/** `GET /api/openapi.json`: the OpenAPI document of campaign metrics. */
app.http('openApi', { route: 'openapi.json', ...serve(() => undefined, { GET: getOpenApi }) });

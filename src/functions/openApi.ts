import { serve } from '../http/handler.ts';
import { getOpenApi } from '../http/metrics/openapi.ts';
import { registerHttp } from '../register-functions.ts';

/** `GET /api/openapi.json`: the OpenAPI document of campaign metrics. */
registerHttp('openApi', 'openapi.json', () => serve(() => undefined, { GET: getOpenApi }));

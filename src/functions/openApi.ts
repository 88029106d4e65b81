import { app } from '@azure/functions';
import { getOpenApi } from '../http/metrics/get-openapi.ts';

/** `GET /api/openapi.json`: how to talk to campaign metrics. */
app.http('openApi', {
  route: 'openapi.json',
  methods: ['GET'],
  authLevel: 'function',
  handler: getOpenApi,
});

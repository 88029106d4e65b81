import type { HttpRequest, HttpResponseInit } from '@azure/functions';
import { openApi } from './openapi.ts';
import { json } from './problem.ts';

/** `GET /api/openapi.json`. The server is where the request came to. */
export async function getOpenApi(request: HttpRequest): Promise<HttpResponseInit> {
  const { origin, pathname } = new URL(request.url);
  return json(200, openApi(origin + pathname.slice(0, pathname.lastIndexOf('/openapi.json'))));
}

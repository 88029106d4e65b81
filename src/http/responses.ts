import type { HttpResponseInit } from '@azure/functions';
import { ConfigurationError, describeError, RetriableError } from '../errors.ts';
import type { StartResult } from '../sync/run/start-run.ts';

/** RFC 9457. */
interface Problem {
  type: 'about:blank';
  title: string;
  status: number;
  detail: string;
  hint?: string;
  [extension: string]: unknown;
}

function problem(
  status: number,
  title: string,
  detail: string,
  more: Record<string, unknown> = {},
): HttpResponseInit {
  const body: Problem = { type: 'about:blank', title, status, detail, ...more };
  return { status, headers: { 'content-type': 'application/problem+json' }, body: JSON.stringify(body) };
}

export function notFound(detail: string): HttpResponseInit {
  return problem(404, 'Not Found', detail);
}

export function badRequest(detail: string): HttpResponseInit {
  return problem(400, 'Bad Request', detail);
}

/** An error as the caller may see it: what happened and what to do, never a stack. */
export function problemResponse(error: unknown, more: Record<string, unknown> = {}): HttpResponseInit {
  if (error instanceof BadRequest) return badRequest(error.message);
  const { message, hint } = describeError(error);
  const extensions = { ...(hint === undefined ? {} : { hint }), ...more };
  if (error instanceof ConfigurationError) return problem(500, 'Wrong configuration', message, extensions);
  if (error instanceof RetriableError) return problem(503, 'Temporarily unavailable', message, extensions);
  return problem(500, 'Internal Server Error', message, extensions);
}

/** The caller's mistake. */
export class BadRequest extends Error {}

/** 202 for a run that was started or resumed, 409 for one that is live already; both say where its status is. */
export function statusResponse(requestUrl: string, result: StartResult): HttpResponseInit {
  const { runId, outcome } = result;
  const base = new URL(requestUrl);
  const statusUrl = new URL(`${base.pathname.replace(/\/$/, '')}/${runId}`, base).href;
  return {
    status: outcome === 'live' ? 409 : 202,
    headers: { location: statusUrl },
    jsonBody: { runId, outcome, statusUrl },
  };
}

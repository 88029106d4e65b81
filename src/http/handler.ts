import type { HttpFunctionOptions, HttpRequest, HttpResponseInit, InvocationContext } from '@azure/functions';
import { SyncError } from '../errors.ts';
import { inInvocation } from '../telemetry/invocation-log.ts';
import { logLine } from '../telemetry/telemetry.ts';
import { prefersHtml } from './accept.ts';
import { problemPage } from './pages/problem-page.ts';
import { Problem, problemOf } from './problem.ts';
import { forbidOtherSites, readDashboardAuth, requestedWithHeader, signedIn, toSignIn } from './sign-in.ts';

/** Answers one request. What it throws becomes a problem document. */
export type Handler<Services> = (
  services: Services,
  request: HttpRequest,
) => HttpResponseInit | Promise<HttpResponseInit>;

/** The handlers of a route, by method. `serve` adds HEAD and OPTIONS. */
export interface Resource<Services> {
  GET?: Handler<Services>;
  POST?: Handler<Services>;
  /** GET answers browsers with pages. Problems become pages too. */
  hasPages?: boolean;
}

/** An address may hold the function key, so caches and other sites must not see it. */
const commonHeaders = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

/**
 * The HTTP stack: the options of `registerHttp` that are the same for all routes. It picks the handler by method,
 * answers HEAD like GET without the body, OPTIONS and 405 with `Allow` (RFC 9110, section 9), turns errors into
 * problem documents, logs them once, and sets the headers of all responses.
 *
 * A new route is a handler in a file of src/http and a function in a file of src/functions.
 *
 * @param services called for each request; an error in it is answered like an error in the handler
 * @param options `isOfPages`: the pages are made of it, so it asks for what `DASHBOARD_AUTH` says; others ask for a key.
 * `readsByPost`: POST changes nothing, so who may read may send it
 * @example
 * // src/http/sync/get-version.ts
 * export const getVersion: Handler<SyncServices> = async (services, request) => {
 *   const version = await readVersion(services);
 *   if (version === undefined) throw new Problem(404, 'There is no database yet.', { hint: 'Start a sync.' });
 *   return { jsonBody: version };
 * };
 *
 * // src/functions/version.ts
 * registerHttp('version', 'version', (environment) => serve(() => syncServices(environment), { GET: getVersion }));
 */
export function serve<Services>(
  services: () => Services | Promise<Services>,
  resource: Resource<Services> | ((request: HttpRequest) => Resource<Services>),
  { isOfPages = false, readsByPost = false }: { isOfPages?: boolean; readsByPost?: boolean } = {},
): Pick<HttpFunctionOptions, 'methods' | 'authLevel' | 'handler'> {
  const hasSignIn = isOfPages && readDashboardAuth() === 'entra';
  return {
    // All, so that `serve` answers 405. The host answers 404 to a method that a function does not list
    // (github.com/Azure/azure-functions-host#10098).
    methods: ['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE'],
    authLevel: hasSignIn ? 'anonymous' : 'function',
    handler: inInvocation(async (request: HttpRequest, context: InvocationContext) => {
      const { GET, POST, hasPages } = typeof resource === 'function' ? resource(request) : resource;
      const method = request.method.toUpperCase();
      const isRead = method === 'GET' || method === 'HEAD';
      const allow = [...(GET ? ['GET', 'HEAD'] : []), ...(POST ? ['POST'] : []), 'OPTIONS'].join(', ');
      const headers: Record<string, string> = { ...commonHeaders };
      if (hasPages && isRead) headers['vary'] = 'Accept';
      if (method === 'OPTIONS') return { status: 204, headers: { ...headers, allow } };
      const finish = (response: HttpResponseInit) => finished(response, headers, method === 'HEAD');
      try {
        if (hasSignIn) {
          signedIn(readsByPost ? { headers: request.headers, method: 'GET' } : request);
          if (!isRead) forbidOtherSites(request);
        }
        const handler = isRead ? GET : method === 'POST' ? POST : undefined;
        if (handler === undefined) throw methodNotAllowed(method, allow);
        return finish(await handler(await services(), request));
      } catch (error) {
        const problem = problemOf(error, { invocationId: context.invocationId });
        logError(error, problem, request, context);
        const asPage = hasPages && isRead && prefersHtml(request.headers.get('accept'));
        // The script of the pages would not get past the sign-in: it loads the page anew, which does.
        const isNavigation = request.headers.get(requestedWithHeader) === null;
        if (hasSignIn && asPage && isNavigation && problem.document.status === 401)
          return finish(toSignIn(request));
        return finish(asPage ? problemPage(problem) : problemResponse(problem));
      }
    }),
  };
}

function methodNotAllowed(method: string, allow: string): Problem {
  return new Problem(405, `${method} is not allowed here.`, { hint: `Use one of: ${allow}.` }, { allow });
}

function problemResponse({ document, headers }: Problem): HttpResponseInit {
  return {
    status: document.status,
    headers: { 'content-type': 'application/problem+json', ...headers },
    jsonBody: document,
  };
}

/** Logs an error once. A `Problem` is not logged: the caller made the mistake, or the handler logged the cause. */
function logError(error: unknown, problem: Problem, request: HttpRequest, context: InvocationContext): void {
  if (error instanceof Problem) return;
  const isUnexpected = error instanceof Error && !(error instanceof SyncError);
  const what = (isUnexpected ? error.stack : undefined) ?? String(error);
  const { status } = problem.document;
  const properties = { status, runId: request.params['runId'] };
  const line = logLine(`${request.method} ${new URL(request.url).pathname} failed: ${what}`, properties);
  if (status === 503) context.warn(line);
  else context.error(line);
}

function finished(
  { jsonBody, body, headers: own, ...rest }: HttpResponseInit,
  common: Record<string, string>,
  isHead: boolean,
): HttpResponseInit {
  const headers = new Headers(common);
  if (jsonBody !== undefined) headers.set('content-type', 'application/json');
  for (const [name, value] of new Headers(own as Headers | undefined)) headers.set(name, value);
  const content = jsonBody === undefined ? body : JSON.stringify(jsonBody);
  return { ...rest, headers, body: isHead ? undefined : content };
}

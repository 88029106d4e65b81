import { once } from 'node:events';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { join, resolve } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { app } from '@azure/functions';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { FunctionsHost, LogEntry } from '../../src/local/functions-host/host.ts';
import { startFunctionsHost } from '../../src/local/functions-host/host.ts';
import { type Azurite, startAzurite } from '../azurite.ts';
import { plain, rows, section } from '../docs/pages.ts';
import { FaultyDataverse } from '../metrics/faulty-dataverse.ts';

const root = resolve(import.meta.dirname, '../..');

/** The error that the services of every route throw, while it is set. The host runs the built app, so this mocks dist. */
const injected = vi.hoisted(() => ({ error: undefined as unknown }));
vi.mock('../../dist/http/handler.js', async (importOriginal) => {
  const { serve } = await importOriginal<typeof import('../../src/http/handler.ts')>();
  return {
    serve: (services: () => unknown, ...rest: [Parameters<typeof serve>[1], Parameters<typeof serve>[2]?]) =>
      serve(
        () => {
          if (injected.error !== undefined) throw injected.error;
          return services();
        },
        ...rest,
      ),
  };
});

interface Route {
  name: string;
  route: string;
  authLevel: string | undefined;
  path: string;
  methods: string[];
}

/** The routes that the app registers, with values in place of their parameters. */
const routes: Route[] = [];

let azurite: Azurite;
let dataverse: FaultyDataverse;
let host: FunctionsHost;
let errors: typeof import('../../src/errors.ts');
const log: LogEntry[] = [];

beforeAll(async () => {
  azurite = await startAzurite();
  dataverse = new FaultyDataverse();
  const http = vi.spyOn(app, 'http');
  host = await startFunctionsHost({
    appRoot: root,
    settings: {
      DATAVERSE_URL: await dataverse.start(),
      DATAVERSE_ACCESS_TOKEN: 'test',
      SYNC_SCHEDULE: '0 0 0 1 1 *',
      // A run cannot be planned without it.
      SYNC_ENTITIES_FILE: join(root, 'no-entities.json'),
    },
    connectionString: azurite.connectionString,
    log: (entry) => log.push(entry),
  });
  errors = await import(join(root, 'dist/errors.js'));
  for (const [name, { route, methods, authLevel }] of http.mock.calls) {
    for (const path of pathsOf(route!)) {
      routes.push({ name, path, route: route!, authLevel, methods: methods! });
    }
  }
});

afterAll(async () => {
  await host?.stop({ limit: 2_000 });
  dataverse.stop();
  await azurite.stop();
});

afterEach(() => {
  injected.error = undefined;
});

/** The paths of a route: without its optional parameter, and with all parameters. */
function pathsOf(route: string): string[] {
  const path = (optional: string) =>
    route
      .replace(/\/\{\w+\?\}/g, optional)
      .replace(/\{(\w+)(:guid)?\}/g, (_, name, isGuid) =>
        isGuid ? '00000000-0000-5000-8000-000000000000' : `no-${name}`,
      );
  return [...new Set([path(''), path('/no-run')])].map((filled) => `/api/${filled}`);
}

interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

/** Sends a request with `node:http`, which does not change the response. */
async function send(method: string, path: string, headers: Record<string, string> = {}): Promise<Answer> {
  const key = { 'x-functions-key': host.functionKey };
  const request = httpRequest(`${host.url}${path}`, { method, headers: { ...key, ...headers } }).end();
  const [response] = await once(request, 'response');
  return {
    status: response.statusCode,
    headers: response.headers,
    body: (await buffer(response)).toString(),
  };
}

/** Sends a request and collects the log lines of the app. */
async function sendAndLog(method: string, path: string, headers: Record<string, string> = {}) {
  log.length = 0;
  const answer = await send(method, path, headers);
  const lines = log.filter(({ category, level }) => category.endsWith('.User') && level !== 'debug');
  return { ...answer, lines };
}

/** The problem document of an answer. */
function problem({ status, headers, body }: Answer): Record<string, unknown> {
  expect(headers['content-type']).toBe('application/problem+json');
  const document = JSON.parse(body) as Record<string, unknown>;
  expect(document).toMatchObject({
    type: 'about:blank',
    status,
    title: expect.any(String),
    detail: expect.any(String),
    hint: expect.any(String),
  });
  return document;
}

function expectSecurityHeaders({ headers }: Answer): void {
  expect(headers).toMatchObject({
    'cache-control': 'no-store',
    'content-security-policy': expect.stringContaining("default-src 'none'"),
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
  });
}

/** The paths of the registered routes. */
const paths = () => [...new Set(routes.map(({ path }) => path))];

/** The methods of each path by its `Allow`, without HEAD and OPTIONS. */
async function operations(): Promise<[method: string, path: string][]> {
  const found: [string, string][] = [];
  for (const path of paths()) {
    const { headers } = await send('OPTIONS', path);
    for (const method of headers.allow!.split(', ')) {
      if (method !== 'HEAD' && method !== 'OPTIONS') found.push([method, path]);
    }
  }
  return found;
}

describe('every route', () => {
  test('comes from a registered function', () => {
    expect(new Set(routes.map(({ name }) => name)).size).toBeGreaterThanOrEqual(9);
    expect(paths()).toEqual(
      expect.arrayContaining(['/api/sync', '/api/sync/no-run', '/api/verify', '/api/openapi.json']),
    );
  });

  test('has its key in the table of the documentation', () => {
    const said = rows(section('docs/http-api.md', 'Keys')).map(([path, name, isHostKey]) => [
      plain(name!),
      plain(path!).replace(/^.* \/api\//, ''),
      isHostKey,
    ]);
    const registered = new Map(
      routes.map(({ name, route, authLevel }) => {
        // Monitors have no key, and what has no data needs none. Everything else needs one.
        expect(authLevel, name).toBe(
          ['health', 'dashboard', 'assets'].includes(name) ? 'anonymous' : 'function',
        );
        // The start of a sync has the optional parameter for the sake of 405, and a ticket is any text.
        const path = name === 'syncStart' ? 'sync' : route.replace('{ticket}', '…');
        return [name, [authLevel === 'anonymous' ? 'none' : name, path, 'yes']];
      }),
    );
    expect(said.sort()).toEqual([...registered.values()].sort());
  });

  test('lists every method exactly once, so that the host never answers 404 to a method', () => {
    const all = ['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE'];
    // If two functions list a method, the order of the routes in the host decides between them.
    for (const path of paths()) {
      const listed = routes.filter((route) => route.path === path).flatMap(({ methods }) => methods);
      expect(listed.sort(), path).toEqual([...all].sort());
    }
  });

  test('answers OPTIONS with Allow', async () => {
    for (const path of paths()) {
      const answer = await send('OPTIONS', path);
      expect([answer.status, answer.body], path).toEqual([204, '']);
      expect(answer.headers.allow, path).toMatch(/^(?:GET, HEAD(?:, POST)?|POST), OPTIONS$/);
      expectSecurityHeaders(answer);
    }
    for (const path of ['/api/sync', '/api/metrics/campaign']) {
      expect((await send('OPTIONS', path)).headers.allow).toBe('GET, HEAD, POST, OPTIONS');
    }
    expect((await send('OPTIONS', '/api/sync/no-run')).headers.allow).toBe('GET, HEAD, OPTIONS');
  });

  test('answers HEAD like GET, without the body', async () => {
    const statuses = new Set<number>();
    for (const [method, path] of await operations()) {
      if (method !== 'GET') continue;
      const varying = ['date', 'content-length', 'transfer-encoding'];
      const comparable = ({ status, headers }: Answer) => [
        status,
        Object.entries(headers).filter(([name]) => !varying.includes(name)),
      ];
      const [get, head] = [await send('GET', path), await send('HEAD', path)];
      expect(get.body, path).not.toBe('');
      expect(head.body, path).toBe('');
      expect(comparable(head), path).toEqual(comparable(get));
      expectSecurityHeaders(get);
      const key = { 'x-functions-key': host.functionKey };
      const fetched = await fetch(`${host.url}${path}`, { method: 'HEAD', headers: key });
      expect([fetched.status, await fetched.text()], path).toEqual([get.status, '']);
      statuses.add(get.status);
    }
    // There is no entities.json, which health and check report.
    expect([...statuses].sort()).toEqual([200, 404, 503]);
  });

  test('answers 405 with Allow to every other method, and logs nothing', async () => {
    const allowed = new Set((await operations()).map(([method, path]) => `${method} ${path}`));
    for (const path of paths()) {
      for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']) {
        if (allowed.has(`${method} ${path}`)) continue;
        const answer = await sendAndLog(method, path);
        expect(answer.status, `${method} ${path}`).toBe(405);
        expect(problem(answer)).toMatchObject({ title: 'Method Not Allowed' });
        expect(answer.headers.allow).toBe((await send('OPTIONS', path)).headers.allow);
        expectSecurityHeaders(answer);
        expect(answer.lines).toEqual([]);
      }
    }
  });

  test('hides an unexpected error from the caller and logs it once', async () => {
    for (const [method, path] of await operations()) {
      injected.error = new TypeError('Cannot read properties of secret');
      const answer = await sendAndLog(method, path);
      expect(answer.status, `${method} ${path}`).toBe(500);
      expect(answer.body).not.toContain('secret');
      expect(answer.body).not.toContain('TypeError');
      expect(problem(answer)).toMatchObject({
        title: 'Internal Server Error',
        hint: 'The log of the function app has the error.',
        invocationId: answer.lines[0]!.invocationId,
      });
      expectSecurityHeaders(answer);
      expect(answer.lines).toHaveLength(1);
      const [{ level, message }] = answer.lines as [LogEntry];
      expect(level).toBe('error');
      expect(message).toContain(
        `${method} ${path} failed: TypeError: Cannot read properties of secret\n    at `,
      );
      if (path === '/api/sync/no-run') expect(message).toContain('{"status":500,"runId":"no-run"}');
      expect((await sendAndLog('HEAD', path)).body).toBe('');
      injected.error = 'a text';
      expect(problem(await send(method, path)).detail).not.toContain('a text');
    }
  });

  test('answers 500 to a configuration error, with its message and hint', async () => {
    for (const [method, path] of await operations()) {
      injected.error = new errors.ConfigurationError('X is missing.', { hint: 'Set X.' });
      const answer = await sendAndLog(method, path);
      expect(answer.status, `${method} ${path}`).toBe(500);
      expect(problem(answer)).toMatchObject({ detail: 'X is missing.', hint: 'Set X.' });
      expect(answer.headers['retry-after']).toBeUndefined();
      expect(answer.lines.map(({ level }) => level)).toEqual(['error']);
    }
  });

  test('answers 503 with Retry-After to a temporary error', async () => {
    const details = { hint: 'Wait.', retryAfterSeconds: 6.2 };
    for (const [method, path] of await operations()) {
      injected.error = new errors.RetriableError('Dataverse is busy.', details);
      const answer = await sendAndLog(method, path);
      expect([answer.status, answer.headers['retry-after']], `${method} ${path}`).toEqual([503, '7']);
      expect(problem(answer)).toMatchObject({ detail: 'Dataverse is busy.', hint: 'Wait.' });
      expect(answer.lines.map(({ level }) => level)).toEqual(['warning']);
      injected.error = new errors.ConflictError('state.json changed.');
      const conflict = await send(method, path);
      expect([conflict.status, conflict.headers['retry-after']]).toEqual([503, '5']);
      expect(problem(conflict)).toMatchObject({ hint: 'Send the request again in 5 s.' });
    }
  });
});

test.each([
  ['from Dataverse', { fault: { operation: 'read', transient: false } }, 502],
  ['caused by one from Dataverse', { cause: { fault: { operation: 'read', transient: false } } }, 502],
  ['of this app', {}, 500],
])('an error %s: status', async (_, more, status) => {
  for (const kind of ['ConfigurationError', 'SkipTableError', 'SyncError'] as const) {
    const error = new errors[kind]('No access.', { hint: 'Ask for access.' });
    const cause = 'cause' in more ? Object.assign(new errors.SyncError('403'), more.cause) : undefined;
    injected.error = Object.assign(error, more, cause && { cause });
    const answer = await send('GET', '/api/verify');
    expect([kind, answer.status]).toEqual([kind, status]);
    expect(problem(answer)).toMatchObject({ detail: 'No access.', hint: 'Ask for access.' });
  }
});

describe('pages', () => {
  const browser = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' };

  test('show problems to a browser, with the hint', async () => {
    const absent = await send('GET', '/api/sync/no-run', browser);
    expect([absent.status, absent.headers['content-type']]).toEqual([404, 'text/html; charset=utf-8']);
    expect(absent.headers['content-security-policy']).toMatch(/^default-src 'none'; style-src 'sha256-/);
    expect(absent.headers.vary).toBe('Accept');
    expect(absent.body).toContain('<h1 class="bad">Not Found</h1>');
    expect(absent.body).toContain('What to do: GET /api/sync lists the latest runs.');
    expectSecurityHeaders(absent);

    injected.error = new errors.RetriableError('Storage <b>is busy.');
    const busy = await send('GET', '/api/sync', browser);
    expect([busy.status, busy.headers['retry-after']]).toEqual([503, '5']);
    expect(busy.body).toContain('Storage &lt;b&gt;is busy.');
    injected.error = new TypeError('secret');
    expect((await send('GET', '/api/sync', browser)).body).not.toContain('secret');
  });

  test('vary by Accept; other routes answer a browser with JSON', async () => {
    for (const [method, path] of await operations()) {
      if (method !== 'GET') continue;
      injected.error = new errors.RetriableError('Busy.');
      const isPage = path.startsWith('/api/sync') || path.startsWith('/api/pages');
      const answer = await send('GET', path, browser);
      expect(answer.headers.vary, path).toBe(isPage ? 'Accept' : undefined);
      if (!isPage) expect(problem(answer)).toMatchObject({ detail: 'Busy.' });
      expect((await send('GET', path)).headers.vary, path).toBe(isPage ? 'Accept' : undefined);
    }
  });
});

describe('/api/sync', () => {
  test.each(['..%2Factive', '%00', 'a%20b', `${'x'.repeat(200)}`, '%E0%A4%A'])(
    'answers 404 to the damaged run id %s',
    async (id) => {
      expect((await send('GET', `/api/sync/${id}`)).status).toBe(404);
    },
  );

  test.each(['{', '[]', '{"resume": "yes"}', '{"other": true}'])(
    'answers 400 to the body %s',
    async (body) => {
      const key = { 'x-functions-key': host.functionKey };
      const response = await fetch(`${host.url}/api/sync`, { method: 'POST', headers: key, body });
      expect(response.status).toBe(400);
      expect(await response.json()).toMatchObject({
        title: 'Bad Request',
        hint: expect.stringContaining('resume'),
      });
    },
  );

  test('answers at once, and shows why the run could not be planned', async () => {
    const before = log.length;
    const answer = await send('POST', '/api/sync');
    expect(answer.status).toBe(202);
    const { runId } = JSON.parse(answer.body) as { runId: string };
    expect(runId).toMatch(/^\d{8}T\d+Z-\w+$/);
    const status = await vi.waitFor(
      async () => {
        const found = JSON.parse((await send('GET', `/api/sync/${runId}`)).body) as Record<string, string>;
        expect(found.phase).toBe('failed');
        return found;
      },
      { timeout: 90_000, interval: 100 },
    );
    expect(status.error).toContain('no-entities.json');
    expect(status.hint).toContain('logical name');
    const errorLines = log.slice(before).filter(({ level }) => level === 'error');
    expect(errorLines.map(({ category }) => category)).toEqual(['Function.planRun.User']);
    const { runs } = JSON.parse((await send('GET', '/api/sync')).body) as { runs: { runId: string }[] };
    expect(runs.map((run) => run.runId)).toContain(runId);
    const run = await send('GET', `/api/sync/${runId}`, { accept: 'text/html' });
    expect([run.status, run.headers.vary]).toEqual([302, 'Accept']);
    expect(run.headers.location).toBe(`/api/pages/runs/${runId}`);
    expectSecurityHeaders(run);
    const page = await send('GET', run.headers.location!);
    expect(page.body).toContain('Sync failed');
  });
});

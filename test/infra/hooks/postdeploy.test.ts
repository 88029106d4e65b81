import { expect, it } from 'vitest';
import { sendJson, startServer } from '../../dataverse/http-server.ts';
import { type AzAnswers, runHook, windowsShell } from './run-hook.ts';

const key = 'function-key-that-no-output-may-hold';
const found: AzAnswers = {
  'functionapp config appsettings list': 'DATAVERSE_URL\nAzureWebJobsStorage__clientId',
  'functionapp keys list': key,
};

interface App {
  /** What a route answers to its nth request. */
  health?: (number: number) => [status: number, body: object];
  check?: (number: number) => [status: number, body: object];
  sync?: [status: number, body: object];
  /** What the syncs of further environments answer, by their names. */
  further?: Record<string, [status: number, body: object]>;
}

/** A function app that has no state but the number of requests of each route. */
function startApp({
  health = () => [200, { status: 'healthy' }],
  check = () => [200, { checks: [{ name: 'storage', ok: true }] }],
  sync,
  further = {},
}: App) {
  const counts: Record<string, number> = {};
  return startServer((request, response) => {
    const route = `${request.method} ${request.url}`;
    counts[route] = (counts[route] ?? 0) + 1;
    if (route === 'GET /api/health') {
      const [status, body] = health(counts[route]);
      return sendJson(response, body, status);
    }
    if (request.headers['x-functions-key'] !== key) return sendJson(response, {}, 401);
    if (route === 'GET /api/check') {
      const [status, body] = check(counts[route]);
      return sendJson(response, body, status);
    }
    const name = /^POST \/api\/environments\/(\w+)\/sync$/.exec(route)?.[1];
    const [status, body] = (name === undefined ? sync : further[name]) ?? [202, {}];
    const path = name === undefined ? '/api' : `/api/environments/${name}`;
    return sendJson(response, body, status, { location: `${path}/sync/run-1` });
  });
}

const run = (url: string, answers: AzAnswers | null = found, more: Record<string, string> = {}) =>
  runHook(
    'postdeploy',
    {
      AZURE_FUNCTION_APP_URL: url,
      AZURE_FUNCTION_APP_NAME: 'func-x',
      AZURE_RESOURCE_GROUP: 'rg-x',
      SYNC_DATABASE_URL: 'https://x.example/dataverse/dataverse.db',
      ...more,
    },
    answers,
  );
/** The hook takes the system for Windows, and its shell for cmd.exe. */
function windowsThatSays(message: string): Record<string, string> {
  const platform = "Object.defineProperty(process, 'platform', { value: 'win32' });";
  return {
    NODE_OPTIONS: `--disable-warning=DEP0190 --import=data:text/javascript,${encodeURIComponent(platform)}`,
    comspec: windowsShell,
    WINDOWS_SHELL_SAYS: message,
  };
}

const routes = ({ requests }: { requests: { method: string; url: string }[] }) =>
  requests.map(({ method, url }) => `${method} ${url}`);

it('checks the app, starts a sync and prints the addresses, but no key', async () => {
  await using server = await startApp({});
  const { status, out, calls } = await run(server.url);
  expect(status).toBe(0);
  expect(routes(server)).toEqual(['GET /api/health', 'GET /api/check', 'POST /api/sync']);
  expect(out).toContain(`A first sync has started: ${server.url}/api/sync/run-1`);
  expect(out).toContain(`Pages:       ${server.url}/api/dashboard#key=KEY`);
  expect(out).toContain('https://x.example/dataverse/dataverse.db');
  expect(out).not.toContain(key);
  expect(calls).toEqual([
    'functionapp config appsettings list --resource-group rg-x --name func-x --query [].name --output tsv',
    'functionapp keys list --resource-group rg-x --name func-x --query functionKeys.default --output tsv',
  ]);
});

it('prints what the app advises although all is well', async () => {
  const name = 'campaign metrics in apex_campaignmetrics';
  const note = { name, ok: true, detail: 'Dataverse has no table.', hint: 'Run npm run provision.' };
  await using server = await startApp({
    check: () => [200, { ok: true, checks: [{ name: 'settings', ok: true, detail: 'Valid.' }, note] }],
  });
  const { status, out } = await run(server.url);
  expect(status).toBe(0);
  expect(out).toContain(
    `the privileges that it needs.\n  - ${name}: Dataverse has no table. Run npm run provision.\nA first`,
  );
});

it('waits while roles are on their way to storage', async () => {
  await using server = await startApp({
    health: (number) => [number < 4 ? 503 : 200, { invalidSettings: [] }],
    check: (number) =>
      number < 3
        ? [503, { ok: false, checks: [{ name: 'storage of the host: blobs', ok: false, detail: '403' }] }]
        : [200, { ok: true, checks: [] }],
  });
  const { status, out } = await run(server.url, found, { SYNC_HOOK_WAIT_SECONDS: '60' });
  expect(out).toContain('Waiting for the app');
  expect(status).toBe(0);
  expect(routes(server).filter((route) => route === 'GET /api/health')).toHaveLength(4);
  expect(routes(server).filter((route) => route === 'GET /api/check')).toHaveLength(3);
});

it('gives up on an app that stays unhealthy, and says where to look', async () => {
  await using server = await startApp({
    health: () => [503, { storage: 'unavailable', invalidSettings: [] }],
  });
  const { status, out } = await run(server.url);
  expect(status).toBe(1);
  expect(out).toContain(`Problem: The app is not healthy: GET ${server.url}/api/health answered 503.`);
  expect(out).toMatch(/What to do: A role may still be on its way/);
  expect(routes(server)).not.toContain('POST /api/sync');
});

it('names invalid settings at once', async () => {
  await using server = await startApp({ health: () => [503, { invalidSettings: ['SYNC_CACHE_MB'] }] });
  const { status, out } = await run(server.url, found, { SYNC_HOOK_WAIT_SECONDS: '600' });
  expect(status).toBe(1);
  expect(out).toContain('Problem: Settings of the app are invalid or missing: SYNC_CACHE_MB.');
  expect(routes(server)).toEqual(['GET /api/health']);
});

it('gives up on an app that does not answer', async () => {
  const { status, out } = await run('http://127.0.0.1:9');
  expect(status).toBe(1);
  expect(out).toMatch(/api\/health got no answer/);
});

it('names each failed check with its remedy at once, and starts no sync', async () => {
  await using server = await startApp({
    check: () => [
      503,
      {
        checks: [
          { name: 'settings', ok: true },
          {
            name: 'account',
            ok: false,
            detail: 'prvReadAccount is missing.',
            hint: 'Give it at organisation level.',
          },
          { name: 'contact', ok: false, detail: 'prvReadContact is missing.' },
        ],
      },
    ],
  });
  const { status, out } = await run(server.url, found, { SYNC_HOOK_WAIT_SECONDS: '600' });
  expect(status).toBe(1);
  expect(out).toContain(
    'it found 2 problems:\n  - account: prvReadAccount is missing. Give it at organisation level.',
  );
  expect(out).toContain('  - contact: prvReadContact is missing.\n');
  expect(out).not.toContain('settings:');
  expect(routes(server)).toEqual(['GET /api/health', 'GET /api/check']);
});

it('shows the problem that the check or the sync answers', async () => {
  const problem = { detail: 'Invalid app settings: DATAVERSE_URL.', hint: 'Correct them.' };
  await using first = await startApp({ check: () => [500, problem] });
  expect((await run(first.url)).out).toMatch(
    /api\/check answered 500: Invalid app settings.*\nWhat to do: Correct them\./,
  );
  await using second = await startApp({ sync: [500, problem] });
  const { status, out } = await run(second.url);
  expect(status).toBe(1);
  expect(out).toContain(`POST ${second.url}/api/sync answered 500: Invalid app settings: DATAVERSE_URL..`);
});

it.each<[number, string]>([
  [409, 'A sync is already running.'],
  [302, 'Pages ask for a sign-in'],
  [401, 'Pages ask for a sign-in'],
])('takes %i as an answer to the first sync', async (code, message) => {
  await using server = await startApp({ sync: [code, {}] });
  const { status, out } = await run(server.url);
  expect({ status, hasMessage: out.includes(message) }).toEqual({ status: 0, hasMessage: true });
});

it('finds a connection string beside the identity before anything else', async () => {
  await using server = await startApp({});
  const names = { ...found, 'functionapp config appsettings list': 'AzureWebJobsStorage\nDATAVERSE_URL' };
  const { status, out } = await run(server.url, names);
  expect(status).toBe(1);
  expect(out).toContain('az functionapp config appsettings delete --resource-group rg-x --name func-x');
  expect(server.requests).toEqual([]);
});

it('waits for a key, and says so', async () => {
  await using server = await startApp({});
  const { status, out, calls } = await run(server.url, { ...found, 'functionapp keys list': 'None' });
  expect(status).toBe(1);
  expect(out).toContain('Waiting for the function key: func-x has no function key yet.\n');
  expect(out).toContain('Problem: func-x has no function key yet.');
  expect(calls.length).toBeGreaterThan(2);
});

it.each([
  "ERROR: (AuthorizationFailed) The client 'x' does not have authorization to perform action 'listkeys'.",
  "ERROR: Please run 'az login' to setup account.",
])('does not wait where az is refused: %s', async (message) => {
  await using server = await startApp({});
  const answers = { ...found, 'functionapp keys list': `!${message}` };
  const { status, out, calls } = await run(server.url, answers, { SYNC_HOOK_WAIT_SECONDS: '3' });
  expect(status).toBe(1);
  expect(out).toContain(`Problem: az functionapp keys list failed: ${message}\nWhat to do: Sign in with`);
  expect(calls).toHaveLength(2);
});

it('waits where az fails for another reason, and says why', async () => {
  await using server = await startApp({});
  const busy = "ERROR: Operation returned an invalid status 'Bad Request'";
  const { out, calls } = await run(server.url, { ...found, 'functionapp keys list': `!${busy}` });
  expect(out).toContain(`Waiting for the function key: az functionapp keys list failed: ${busy}\n`);
  expect(calls.length).toBeGreaterThan(2);
});

it.each([
  "'az' is not recognized as an internal or external command,\r\noperable program or batch file.",
  'Der Befehl "az" ist entweder falsch geschrieben oder\r\nkonnte nicht gefunden werden.',
])('says on Windows that az is not installed: %s', async (message) => {
  const { status, out } = await run('http://127.0.0.1:9', null, windowsThatSays(message));
  expect(status).toBe(1);
  expect(out).toContain('Problem: The Azure CLI (az) is not installed.\nWhat to do: Install it: https://');
});

it('shows on Windows what az says if it is there', async () => {
  const message = "ERROR: 'keyz' is misspelled or not recognized by the system.";
  const { out } = await run('http://127.0.0.1:9', null, windowsThatSays(message));
  expect(out).toContain(`Problem: az functionapp config appsettings failed: ${message}`);
});

const furtherNames = { SYNC_ENVIRONMENT_NAMES: 'sales,service' };

it('starts a sync of each environment, and prints the addresses of their pages', async () => {
  await using server = await startApp({ further: { sales: [409, {}] } });
  const { status, out } = await run(server.url, found, furtherNames);
  expect(status).toBe(0);
  expect(routes(server).slice(2)).toEqual([
    'POST /api/sync',
    'POST /api/environments/sales/sync',
    'POST /api/environments/service/sync',
  ]);
  expect(out).toContain('sales: A sync is already running.\n');
  expect(out).toContain(
    `service: A first sync has started: ${server.url}/api/environments/service/sync/run-1\n`,
  );
  expect(out).toContain(`  sales: ${server.url}/api/environments/sales/dashboard#key=KEY\n`);
});

it('starts the syncs of the other environments where one does not start, and says which', async () => {
  const problem = { detail: 'Invalid app settings: SYNC_TARGET.', hint: 'Correct them.' };
  await using server = await startApp({ further: { sales: [500, problem] } });
  const { status, out } = await run(server.url, found, furtherNames);
  expect(status).toBe(1);
  expect(out).toContain('service: A first sync has started: ');
  expect(out).toContain(
    `Problem: The sync did not start: POST ${server.url}/api/environments/sales/sync answered 500: Invalid app settings: SYNC_TARGET..\nWhat to do: Correct them.`,
  );
});

it('starts the syncs of the environments that lack nothing', async () => {
  const checks = [
    { name: 'storage: queues', ok: true },
    {
      ...{ name: 'sales: dataverse', ok: false, environment: 'sales' },
      ...{ detail: 'No application user.', hint: 'Create one.' },
    },
    { name: 'service: dataverse', ok: true, environment: 'service' },
  ];
  await using server = await startApp({ check: () => [503, { checks }] });
  const { status, out } = await run(server.url, found, furtherNames);
  expect(status).toBe(1);
  expect(out).toContain(
    'it found a problem:\n  - sales: dataverse: No application user. Create one.\nWhat to do: ',
  );
  expect(out).not.toContain('has the privileges that it needs');
  expect(routes(server).slice(2)).toEqual(['POST /api/sync', 'POST /api/environments/service/sync']);
});

it('lets the check say which environment is left out, and starts the syncs of the others', async () => {
  const left = {
    name: 'environments',
    ok: false,
    detail: 'SYNC_ENVIRONMENTS_FILE: environment sales: there is no setting "X".',
  };
  await using server = await startApp({
    health: () => [200, { invalidSettings: ['SYNC_ENVIRONMENTS_FILE'] }],
    check: () => [503, { checks: [{ name: 'settings', ok: true }, left] }],
    further: { sales: [404, {}] },
  });
  const { status, out } = await run(server.url, found, furtherNames);
  expect(status).toBe(1);
  expect(out).not.toContain('The app is healthy.');
  expect(out).toContain(`it found a problem:\n  - environments: ${left.detail}`);
  expect(out).toContain(`A first sync has started: ${server.url}/api/sync/run-1\n`);
  expect(out).toContain('service: A first sync has started: ');
});

it('waits while a role is on its way to the container of an environment', async () => {
  const storage = { name: 'sales: storage: container dataverse-sales', ok: false, detail: '403' };
  await using server = await startApp({
    check: (number) => (number < 3 ? [503, { checks: [storage] }] : [200, { checks: [] }]),
  });
  const { status } = await run(server.url, found, { ...furtherNames, SYNC_HOOK_WAIT_SECONDS: '60' });
  expect(status).toBe(0);
  expect(routes(server).filter((route) => route === 'GET /api/check')).toHaveLength(3);
});

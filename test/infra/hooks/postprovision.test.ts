import { expect, it } from 'vitest';
import { sendJson, startServer, testToken } from '../../dataverse/http-server.ts';
import { type AzAnswers, runHook } from './run-hook.ts';

const applicationId = '22222222-2222-4222-8222-222222222222';
const unitId = '55555555-5555-4555-8555-555555555555';
const userId = '66666666-6666-4666-8666-666666666666';
const roleId = '77777777-7777-4777-8777-777777777777';
const signedIn: AzAnswers = { 'account get-access-token': testToken };

interface World {
  user?: { systemuserid: string; isdisabled: boolean };
  hasRole?: boolean;
  roles?: string[];
  /** Answers every write with this error. */
  refuses?: boolean;
}

/** A Dataverse with one business unit, one role and perhaps the application user. */
function startDataverse(world: World) {
  return startServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url!, 'http://x');
    const path = pathname.replace('/api/data/v9.2/', '');
    const filter = searchParams.get('$filter') ?? '';
    if (request.headers.authorization !== `Bearer ${testToken}`) return sendJson(response, {}, 401);
    if (request.method === 'POST' && world.refuses) {
      const error = { code: '0x80040220', message: 'prvCreateUser is missing' };
      return sendJson(response, { error }, 403);
    }
    if (path === 'businessunits') return sendJson(response, { value: [{ businessunitid: unitId }] });
    if (path === 'systemusers' && request.method === 'POST') {
      world.user = { systemuserid: userId, isdisabled: false };
      return sendJson(response, { systemuserid: userId }, 201);
    }
    if (path === 'systemusers') {
      const value = world.user && filter === `applicationid eq ${applicationId}` ? [world.user] : [];
      return sendJson(response, { value });
    }
    if (path === 'roles') {
      const name = /^name eq '(.+)' and _businessunitid_value eq /.exec(filter)![1]!.replaceAll("''", "'");
      return sendJson(response, { value: (world.roles ?? []).includes(name) ? [{ roleid: roleId }] : [] });
    }
    if (path === `systemusers(${userId})/systemuserroles_association`)
      return sendJson(response, { value: world.hasRole ? [{ roleid: roleId }] : [] });
    if (path === `systemusers(${userId})/systemuserroles_association/$ref`) {
      world.hasRole = true;
      response.writeHead(204);
      return response.end();
    }
    return sendJson(response, { error: { code: '0x0', message: `unexpected ${request.url}` } }, 400);
  });
}

const run = (url: string, answers: AzAnswers | null = signedIn, more: Record<string, string> = {}) =>
  runHook('postprovision', { DATAVERSE_URL: url, DATAVERSE_APPLICATION_ID: applicationId, ...more }, answers);
const writes = ({ requests }: { requests: { method: string; url: string; body: string }[] }) =>
  requests.filter(({ method }) => method !== 'GET');

it('creates the application user in the root business unit and gives it the role, once', async () => {
  const world: World = { roles: ['dataverse-sqlite-sync'] };
  await using server = await startDataverse(world);
  const first = await run(server.url);
  expect(first.status).toBe(0);
  expect(first.out).toContain(`The app signs in to ${server.url} with the client id ${applicationId}.`);
  expect(first.out).toContain('Its application user was created.');
  expect(first.out).toContain('It has the security role dataverse-sqlite-sync.');
  expect(first.calls).toEqual([
    `account get-access-token --resource ${server.url} --query accessToken --output tsv`,
  ]);
  expect(writes(server).map(({ body }) => JSON.parse(body))).toEqual([
    { applicationid: applicationId, 'businessunitid@odata.bind': `/businessunits(${unitId})` },
    { '@odata.id': `${server.url}/api/data/v9.2/roles(${roleId})` },
  ]);

  const second = await run(server.url);
  expect(second.out).toContain('Its application user exists.');
  expect(writes(server)).toHaveLength(2);
  expect(first.out + second.out).not.toContain(testToken);
});

it('says how to make the role where there is none, and takes one of another name', async () => {
  await using server = await startDataverse({ roles: ["Contoso's mirror"] });
  const without = await run(server.url);
  expect(without.status).toBe(0);
  expect(without.out).toContain('There is no security role dataverse-sqlite-sync');
  const named = await run(server.url, signedIn, { SYNC_DATAVERSE_ROLE: "Contoso's mirror" });
  expect(named.out).toContain("It has the security role Contoso's mirror.");
});

it('prints the steps with their ids where the deployer has no rights in Dataverse', async () => {
  await using server = await startDataverse({ refuses: true });
  const { status, out } = await run(server.url);
  // The deployment goes on.
  expect(status).toBe(0);
  expect(out).toContain('Dataverse answered 403 to POST systemusers: 0x80040220 prvCreateUser is missing');
  expect(out).toContain(`search for ${applicationId}`);
  expect(out).toContain(`Choose ${new URL(server.url).host}, then Settings`);
});

it.each<[string, AzAnswers | null, string]>([
  [
    'the deployer is not signed in',
    { account: '!ERROR: Please run az login' },
    'failed: ERROR: Please run az login',
  ],
  ['az is not installed', null, 'The Azure CLI (az) is not installed.'],
])('prints the steps where %s', async (_, answers, message) => {
  await using server = await startDataverse({});
  const { status, out } = await run(server.url, answers);
  expect(status).toBe(0);
  expect(out).toContain(message);
  expect(out).toContain(`search for ${applicationId}`);
  expect(server.requests).toEqual([]);
});

it('sends no token to an address without https', async () => {
  const { out, calls } = await run('http://contoso.example');
  expect(out).toContain('http://contoso.example is not an https address.');
  expect(calls).toEqual([]);
});

it('prints the steps where Dataverse cannot be reached or the user is disabled', async () => {
  expect((await run('http://127.0.0.1:9')).out).toMatch(/Dataverse answered 0 to GET businessunits/);
  await using server = await startDataverse({ user: { systemuserid: userId, isdisabled: true } });
  expect((await run(server.url)).out).toContain(`The application user ${applicationId} is disabled.`);
});

it('names the secret that is missing in the key vault, and not one that is there', async () => {
  await using server = await startDataverse({});
  const vault = { AZURE_KEY_VAULT_NAME: 'kv-x' };
  const missing = await run(server.url, { ...signedIn, 'keyvault secret list': '' }, vault);
  expect(missing.out).toContain('az keyvault secret set --vault-name kv-x --name dataverse-client-secret');
  const there = await run(
    server.url,
    { ...signedIn, 'keyvault secret list': 'dataverse-client-secret' },
    vault,
  );
  expect(there.out).not.toContain('az keyvault secret set');
});

it('says what to do where azd has no values', async () => {
  const { status, out } = await runHook('postprovision', {}, signedIn);
  expect(status).toBe(1);
  expect(out).toContain(
    'Problem: azd has no value of DATAVERSE_URL.\nWhat to do: Run `azd provision`, which sets it.',
  );
});

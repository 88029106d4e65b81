import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { type SampleDataverse, startSampleDataverse } from '../../../src/local/sample-dataverse/index.ts';
import { sendJson, startServer, testToken } from '../../dataverse/http-server.ts';
import { type AzAnswers, runHook } from './run-hook.ts';

const signedIn: AzAnswers = { 'account get-access-token': testToken };

let dataverse: SampleDataverse;
let folder: string;
beforeAll(async () => {
  dataverse = await startSampleDataverse({ rows: 50, token: testToken });
  folder = mkdtempSync(join(tmpdir(), 'entities-'));
});
afterAll(async () => {
  await dataverse.stop();
  rmSync(folder, { recursive: true });
});

/** Another app for each test. */
let applicationId: string;
beforeEach(() => {
  applicationId = randomUUID();
});
afterEach(() => dataverse.store.deniedPrivileges.clear());

/** A list of tables in a file of its own. */
function listOf(...tables: string[]): string {
  const file = join(folder, `${tables.join('-')}.json`);
  writeFileSync(file, JSON.stringify(tables));
  return file;
}

const run = (more: Record<string, string> = {}, answers: AzAnswers | null = signedIn, url = dataverse.url) =>
  runHook('postprovision', { DATAVERSE_URL: url, DATAVERSE_APPLICATION_ID: applicationId, ...more }, answers);

const read = async (path: string) => {
  const response = await fetch(`${dataverse.url}/api/data/v9.2/${path}`, {
    headers: { authorization: `Bearer ${testToken}` },
  });
  return (await response.json()) as Record<string, { roleid: string; name: string }[]>;
};

/** The application users of the app, and their roles with the number of privileges. */
async function whatTheAppHas() {
  const users = [...dataverse.store.truth('systemuser')].filter(
    ([, user]) => user['applicationid'] === applicationId,
  );
  const roles: [name: string, privileges: number][] = [];
  for (const [id] of users) {
    const { value } = await read(`systemusers(${id})/systemuserroles_association`);
    for (const { roleid, name } of value!) {
      const { RolePrivileges: held } = await read(`RetrieveRolePrivilegesRole(RoleId=${roleid})`);
      roles.push([name, held!.length]);
    }
  }
  return { users: users.length, roles };
}

it('creates the application user and the role, and assigns it, once', async () => {
  const entities = { SYNC_ENTITIES_FILE: listOf('account') };
  const first = await run(entities);
  expect(first.status).toBe(0);
  expect(first.out).toContain(`The app signs in to ${dataverse.url} with the client id ${applicationId}.`);
  expect(first.out).toContain('Its application user was created.\ncreated the role Dataverse SQLite sync\n');
  expect(first.out).toMatch(/^added prvReadaccount \(organization level\)$/im);
  expect(first.out).not.toMatch(/prvReadcontact/i);
  expect(first.out).toContain(`assigned it to ${applicationId}`);
  expect(first.calls).toEqual([
    `account get-access-token --resource ${dataverse.url} --query accessToken --output tsv`,
    'npm run -s build',
  ]);
  const made = await whatTheAppHas();
  expect(made).toEqual({ users: 1, roles: [['Dataverse SQLite sync', expect.any(Number)]] });

  const second = await run(entities);
  expect(second.out).toContain('Its application user exists.\nThe role Dataverse SQLite sync exists.\n');
  expect(second.out).toContain('It has all privileges that the app needs.');
  expect(second.out).toContain(`${applicationId} has the role already.`);
  expect(await whatTheAppHas()).toEqual(made);

  // Tables that were added since.
  const third = await run({
    SYNC_ENTITIES_FILE: listOf('account', 'contact'),
    SYNC_EXTRA_SETTINGS: JSON.stringify({ SYNC_VERIFY_HOURS: '12' }),
  });
  expect(third.out).toMatch(/^added prvReadcontact \(organization level\)$/im);
  expect((await whatTheAppHas()).roles).toEqual([['Dataverse SQLite sync', made.roles[0]![1] + 1]]);
  expect(first.out + second.out + third.out).not.toContain(testToken);
});

it('takes the entities.json of the project, a role of another name, and no table of campaign metrics', async () => {
  const other = await startSampleDataverse({ rows: 50, token: testToken, campaignMetrics: false });
  const { out, status } = await run({ SYNC_DATAVERSE_ROLE: "Contoso's mirror" }, signedIn, other.url);
  expect(status).toBe(0);
  expect(out).toContain('attention: Dataverse has no table apex_campaignmetrics; if you use');
  expect(out).toContain("created the role Contoso's mirror");
  expect(out).toMatch(/^added prvReadcontact /im);
  expect(out).toContain(`assigned it to ${applicationId}`);
  expect(out).not.toContain('could not be set up');
  await other.stop();
});

it('names other tables that are absent', async () => {
  const { out, status } = await run({ SYNC_ENTITIES_FILE: listOf('account', 'acount') });
  expect(status).toBe(0);
  expect(out).toMatch(/could not be set up: attention: Dataverse has no table acount\n/);
});

it('prints the steps with their ids where the deployer may not create users', async () => {
  dataverse.store.deniedPrivileges.add('prvCreateUser').add('prvCreatesystemuser');
  const { status, out, calls } = await run();
  // The deployment goes on.
  expect(status).toBe(0);
  expect(out).toMatch(
    /The application user could not be set up: Dataverse answered 403 to POST systemusers: /,
  );
  expect(out).toContain(`search for ${applicationId}`);
  expect(out).toContain(`Choose ${new URL(dataverse.url).host}, then Settings`);
  expect(out).toContain(
    `     DATAVERSE_URL=${dataverse.url} npm run role -- --create --assign ${applicationId}\n`,
  );
  expect(calls).not.toContain('npm run -s build');
});

it('prints the command for the role alone where the deployer may not create roles', async () => {
  dataverse.store.deniedPrivileges.add('prvCreateRole');
  const { status, out } = await run({
    SYNC_ENTITIES_FILE: listOf('account'),
    SYNC_DATAVERSE_ROLE: "Contoso's",
  });
  expect(status).toBe(0);
  expect(out).toContain('Its application user was created.');
  expect(out).toMatch(/The security role could not be set up: [\s\S]*prvCreateRole/);
  expect(out).not.toContain('New app user');
  const file = listOf('account');
  const variables = `DATAVERSE_URL=${dataverse.url} SYNC_ENTITIES_FILE=${file}`;
  expect(out).toContain(
    `  1. In a checkout of this project, after \`npm ci\` and \`az login\`, run\n     ${variables} npm run role -- --create --assign ${applicationId} --name 'Contoso'\\''s'\n`,
  );
  expect(out).not.toContain(testToken);
});

it('says what to do where the command cannot be built', async () => {
  const { status, out } = await run({}, { ...signedIn, 'npm run -s build': '!sh: tsc: not found' });
  expect(status).toBe(0);
  expect(out).toContain('The command npm run role cannot be built: sh: tsc: not found\nRun `npm ci`, then');
  const without = await run({}, { ...signedIn, npm: 'absent' });
  expect(without.out).toContain('cannot be built: npm does not run (ENOENT)');
});

it.each<[string, AzAnswers | null, string]>([
  [
    'the deployer is not signed in',
    { account: '!ERROR: Please run az login' },
    'failed: ERROR: Please run az login',
  ],
  ['az is not installed', null, 'The Azure CLI (az) is not installed.'],
])('prints the steps where %s', async (_, answers, message) => {
  const { status, out } = await run({}, answers);
  expect(status).toBe(0);
  expect(out).toContain(message);
  expect(out).toContain(`search for ${applicationId}`);
  expect(await whatTheAppHas()).toEqual({ users: 0, roles: [] });
});

it('sends no token to an address without https', async () => {
  const { status, out, calls } = await run({}, signedIn, 'http://contoso.example');
  expect(status).toBe(1);
  expect(out).toContain(
    'DATAVERSE_URL must be an https address without a path, not "http://contoso.example".',
  );
  expect(calls).toEqual([]);
});

it('says what is wrong with an address without https://, before it calls az', async () => {
  const { status, out, calls } = await run({}, signedIn, 'contoso.crm.dynamics.com');
  expect(status).toBe(1);
  expect(out).toBe(
    '\nProblem: DATAVERSE_URL must be an https address without a path, not "contoso.crm.dynamics.com".\n' +
      'What to do: Correct it: azd env set DATAVERSE_URL https://contoso.crm.dynamics.com\n',
  );
  expect(calls).toEqual([]);
});

it.each<[string, (response: ServerResponse) => void]>([
  ['a web page', (response) => response.setHeader('content-type', 'text/html').end('<html>Sign in</html>')],
  ['JSON of something else', (response) => sendJson(response, { name: 'contoso' })],
])('prints the steps where the address answers 200 with %s', async (_, answer) => {
  await using server = await startServer((_request, response) => answer(response));
  const { status, out } = await run({}, signedIn, server.url);
  expect(status).toBe(0);
  expect(out).toContain(
    `could not be set up: ${server.url} answered with something else than rows of Dataverse, such as a web page.\nCorrect DATAVERSE_URL`,
  );
  expect(out).toContain(`search for ${applicationId}`);
  expect(out).not.toContain('TypeError');
});

it('prints the steps where Dataverse cannot be reached, the user is disabled, or the deployer sees nothing', async () => {
  const closed = await run({}, signedIn, 'http://127.0.0.1:9');
  expect(closed.out).toMatch(/Dataverse answered 0 to GET systemusers/);
  await using server = await startServer((_, response) =>
    sendJson(response, { value: [{ systemuserid: applicationId, isdisabled: true }] }),
  );
  const disabled = await run({}, signedIn, server.url);
  expect(disabled.out).toContain(`The application user ${applicationId} is disabled.`);
  await using empty = await startServer((_, response) => sendJson(response, { value: [] }));
  const unseen = await run({}, signedIn, empty.url);
  expect(unseen.out).toContain('Dataverse shows no root business unit.');
});

it('names the secret that is missing in the key vault, and not one that is there', async () => {
  const vault = { AZURE_KEY_VAULT_NAME: 'kv-x' };
  const missing = await run(vault, { 'keyvault secret list': '' });
  expect(missing.out).toContain('az keyvault secret set --vault-name kv-x --name dataverse-client-secret');
  const there = await run(vault, { 'keyvault secret list': 'dataverse-client-secret' });
  expect(there.out).not.toContain('az keyvault secret set');
});

it('says what to do where azd has no values', async () => {
  const { status, out } = await runHook('postprovision', {}, signedIn);
  expect(status).toBe(1);
  expect(out).toContain(
    'Problem: azd has no value of DATAVERSE_URL.\nWhat to do: Run `azd provision`, which sets it.',
  );
});

/** A file of further environments. */
function environmentsFile(environments: Record<string, Record<string, string>>): Record<string, string> {
  const file = join(folder, 'environments.json');
  writeFileSync(file, JSON.stringify({ environments }));
  return { SYNC_ENVIRONMENTS_FILE: file, SYNC_ENTITIES_FILE: listOf('account') };
}

it('lets the app into each environment, with the tables and the client id that it has', async () => {
  const other = await startSampleDataverse({ rows: 50, token: testToken });
  const otherId = randomUUID();
  const file = environmentsFile({
    sales: {
      DATAVERSE_URL: '%SALES_URL%',
      DATAVERSE_CLIENT_ID: otherId,
      DATAVERSE_CLIENT_SECRET: '%SALES_SECRET%',
      SYNC_ENTITIES_FILE: listOf('contact'),
    },
  });
  const { status, out } = await run({
    ...file,
    SYNC_EXTRA_SETTINGS: JSON.stringify({ SALES_URL: other.url, SALES_SECRET: 'hunter2' }),
  });
  expect(status).toBe(0);
  const [first, sales] = out.split(
    `\nFor the environment sales, it signs in to ${other.url} with the client id ${otherId}.\n`,
  );
  expect(first).toContain(`assigned it to ${applicationId}`);
  expect(sales).toContain('Its application user was created.\ncreated the role Dataverse SQLite sync\n');
  expect(sales).toMatch(/prvReadcontact /i);
  expect(sales).not.toMatch(/prvReadaccount /i);
  expect(sales).toContain(`assigned it to ${otherId}`);
  expect(out).not.toMatch(/could not be set up|hunter2/);
  await other.stop();
});

it('goes on with the next environment where one cannot be set up', async () => {
  const file = environmentsFile({
    closed: { DATAVERSE_URL: 'http://127.0.0.1:9', SYNC_ENTITIES_FILE: 'entities.closed.json' },
    unknown: { DATAVERSE_URL: '%NOBODY_SET_IT%' },
    wrong: { DATAVERSE_URL: 'http://contoso.example' },
    same: { DATAVERSE_URL: dataverse.url },
  });
  const { status, out, calls } = await run(file);
  expect(status).toBe(0);
  expect(out).toMatch(/The application user could not be set up: Dataverse answered 0 to GET systemusers/);
  expect(out).toContain(
    `DATAVERSE_URL=http://127.0.0.1:9 SYNC_ENTITIES_FILE=entities.closed.json npm run role -- --create --assign ${applicationId}\n`,
  );
  expect(out).toContain(
    'The environment unknown could not be set up: its DATAVERSE_URL is an app setting that SYNC_EXTRA_SETTINGS does not hold.\n',
  );
  expect(out).toContain(
    'The environment wrong could not be set up: DATAVERSE_URL must be an https address without a path, not "http://contoso.example".\nCorrect it, then run `azd up`.\n',
  );
  expect(out).toMatch(/For the environment same, .*\nIts application user exists\.\n/);
  // Built once.
  expect(calls.filter((call) => call.startsWith('npm'))).toHaveLength(1);
});

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { app } from '@azure/functions';
import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { FunctionsHost } from '../../src/local/functions-host/host.ts';
import { startFunctionsHost } from '../../src/local/functions-host/host.ts';
import { type SampleDataverse, startSampleDataverse } from '../../src/local/sample-dataverse/index.ts';
import { type Azurite, startAzurite } from '../azurite.ts';
import { chromiumPath, launchChromium } from '../http/dashboard/chromium.ts';

const root = resolve(import.meta.dirname, '../..');
const reads = [
  '/api/pages/overview',
  '/api/sync',
  '/api/sync/history',
  '/api/schema',
  '/api/verify',
  '/api/database',
  '/api/query',
];

/** The headers that App Service adds to a request of somebody who is signed in. */
function signedIn(roles: string[], name = 'ada@contoso.com'): Record<string, string> {
  const claims = [{ typ: 'name', val: name }, ...roles.map((val) => ({ typ: 'roles', val }))];
  const principal = JSON.stringify({ auth_typ: 'aad', name_typ: 'name', role_typ: 'roles', claims });
  return {
    'x-ms-client-principal': Buffer.from(principal).toString('base64'),
    'x-ms-client-principal-id': '00000000-0000-4000-8000-000000000001',
    'x-ms-client-principal-idp': 'aad',
    'x-ms-client-principal-name': name,
  };
}

let azurite: Azurite;
let dataverse: SampleDataverse;
let host: FunctionsHost;
let folder: string;
const levels = new Map<string, string | undefined>();

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sign-in-'));
  writeFileSync(join(folder, 'entities.json'), '["account"]');
  azurite = await startAzurite();
  dataverse = await startSampleDataverse({ rows: 20 });
  const http = vi.spyOn(app, 'http');
  host = await startFunctionsHost({
    appRoot: root,
    settings: {
      DATAVERSE_URL: dataverse.url,
      DATAVERSE_ACCESS_TOKEN: 'test',
      SYNC_SCHEDULE: '0 0 0 1 1 *',
      SYNC_ENTITIES_FILE: join(folder, 'entities.json'),
      DASHBOARD_AUTH: 'entra',
      WEBSITE_AUTH_ENABLED: 'True',
    },
    connectionString: azurite.connectionString,
  });
  for (const [name, { authLevel }] of http.mock.calls) levels.set(name, authLevel);
});
afterEach(() => {
  process.env['WEBSITE_AUTH_ENABLED'] = 'True';
});
afterAll(async () => {
  await host?.stop({ limit: 2_000 });
  await dataverse?.stop();
  await azurite?.stop();
  rmSync(folder, { recursive: true });
});

const send = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
  fetch(`${host.url}${path}`, { method, headers, redirect: 'manual' });

describe('where people sign in with Entra ID', () => {
  test('routes of the pages ask for it, and all others for a key as before', async () => {
    const open = [...levels].filter(([, level]) => level === 'anonymous').map(([name]) => name);
    const ofPages = ['pages', 'database', 'query', 'schemaReport', 'syncStart', 'syncStatus', 'verify'];
    expect(open.sort()).toEqual([...ofPages, 'assets', 'dashboard', 'health'].sort());
    for (const path of reads) {
      expect((await send(path)).status, path).toBe(401);
      expect((await send(path, { 'x-functions-key': host.functionKey })).status, path).toBe(401);
      expect([200, 404], path).toContain((await send(path, signedIn(['Mirror.Read']))).status);
    }
    for (const path of ['/api/check', '/api/metrics/campaign', '/api/openapi.json']) {
      expect((await send(path, signedIn(['Mirror.Operate']))).status, path).toBe(401);
    }
  });

  test('stays closed while App Service authentication is off, whatever headers say', async () => {
    for (const value of [undefined, '', 'False', 'yes']) {
      if (value === undefined) delete process.env['WEBSITE_AUTH_ENABLED'];
      else process.env['WEBSITE_AUTH_ENABLED'] = value;
      for (const path of reads) {
        const answer = await send(path, signedIn(['Mirror.Read', 'Mirror.Operate']));
        expect(answer.status, path).toBe(403);
        expect(await answer.text()).toContain('DASHBOARD_AUTH');
      }
      const post = await send(
        '/api/sync',
        { ...signedIn(['Mirror.Operate']), 'x-requested-with': 'x' },
        'POST',
      );
      expect(post.status).toBe(403);
    }
  });

  test('lets nobody in without a role, or with a principal that is none', async () => {
    expect((await send('/api/database', signedIn([]))).status).toBe(403);
    expect((await send('/api/database', signedIn(['Other.Read', 'mirror.read']))).status).toBe(403);
    const of = (text: string) => ({ 'x-ms-client-principal': Buffer.from(text).toString('base64') });
    const claims = [{ typ: 'roles', val: 'Mirror.Read' }];
    const broken = [
      '',
      'null',
      '{',
      '[]',
      '{"auth_typ":"aad"}',
      JSON.stringify({ auth_typ: 'google', claims }),
    ];
    for (const text of broken) expect((await send('/api/database', of(text))).status, text).toBe(403);
    // The name of the claim that holds roles can be another one.
    const long = 'http://schemas.microsoft.com/ws/2008/06/identity/claims/role';
    const other = { auth_typ: 'aad', role_typ: long, claims: [{ typ: long, val: 'Mirror.Read' }] };
    expect((await send('/api/schema', of(JSON.stringify(other)))).status).not.toBe(403);
    // A claim without a value is no reason to send a browser to the sign-in again and again.
    const odd = {
      auth_typ: 'aad',
      role_typ: null,
      claims: [{ typ: 'x', val: null }, { typ: 'y' }, ...claims],
    };
    expect((await send('/api/schema', of(JSON.stringify(odd)))).status).not.toBe(403);
    const inBrowser = await send('/api/pages/overview', { ...of('{'), accept: 'text/html' });
    expect(inBrowser.status).toBe(403);
    expect(await inBrowser.text()).toContain('/.auth/logout');
  });

  test('only who may operate can post, and only from the pages or with a token', async () => {
    const operator = signedIn(['Mirror.Operate']);
    const marked = { 'x-requested-with': 'dashboard' };
    const post = async (headers: Record<string, string>) => (await send('/api/sync', headers, 'POST')).status;
    expect(await post({ ...signedIn(['Mirror.Read']), ...marked })).toBe(403);
    expect(await post(operator)).toBe(403);
    expect(await post({ ...operator, 'content-type': 'text/plain' })).toBe(403);
    for (const site of ['cross-site', 'same-site'])
      expect(await post({ ...operator, ...marked, 'sec-fetch-site': site })).toBe(403);
    expect(await post(marked)).toBe(401);
    expect([202, 409]).toContain(await post({ ...operator, authorization: 'Bearer token' }));
    expect([202, 409]).toContain(await post({ ...operator, ...marked, 'sec-fetch-site': 'same-origin' }));
  });

  test('who may read can send a query, and another site cannot', async () => {
    const reader = signedIn(['Mirror.Read']);
    const marked = { 'x-requested-with': 'dashboard' };
    const post = async (headers: Record<string, string>) =>
      (await send('/api/query', headers, 'POST')).status;
    // The mirror is a file here: who gets so far is told that.
    expect(await post({ ...reader, ...marked })).toBe(404);
    expect(await post(reader)).toBe(403);
    expect(await post({ ...reader, ...marked, 'sec-fetch-site': 'cross-site' })).toBe(403);
    expect(await post({ ...signedIn([]), ...marked })).toBe(403);
    expect(await post(marked)).toBe(401);
  });

  test('browsers are led to the sign-in and back, scripts and programs are told', async () => {
    const accept = { accept: 'text/html' };
    const led = await send('/api/pages/runs?days=7', accept);
    expect([led.status, led.headers.get('location')]).toEqual([
      302,
      '/.auth/login/aad?post_login_redirect_uri=%2Fapi%2Fpages%2Fruns%3Fdays%3D7',
    ]);
    expect((await send('/api/pages/runs', { ...accept, 'x-requested-with': 'dashboard' })).status).toBe(401);
    // A key that opens other routes goes neither to Entra nor into links.
    const withKey = await send('/api/sync?code=SECRET&days=7', accept);
    expect(withKey.headers.get('location')).toBe(
      '/.auth/login/aad?post_login_redirect_uri=%2Fapi%2Fsync%3Fdays%3D7',
    );
    for (const path of [
      '/api/sync?code=SECRET',
      '/api/dashboard?Code=SECRET',
      '/api/pages/runs?code=SECRET',
    ]) {
      const answer = await send(path, { ...accept, ...signedIn(['Mirror.Read']) });
      expect(`${answer.headers.get('location')} ${await answer.text()}`, path).not.toContain('SECRET');
    }
    const dashboard = await send('/api/dashboard/tables/account?x=1', accept);
    expect([dashboard.status, dashboard.headers.get('location')]).toEqual([
      302,
      '/api/pages/tables/account?x=1',
    ]);
  });

  test('a page says who is signed in, whatever they call themselves', async () => {
    const text = await (
      await send('/api/pages/overview', signedIn(['Mirror.Read'], '<img src=x onerror=alert(1)>'))
    ).text();
    expect(text).toContain('Signed in as &lt;img src=x onerror=alert(1)&gt;');
    expect(text).toContain('/.auth/logout');
    expect(text).toContain('data-read-only');
    expect(text).not.toContain('code=');
  });

  describe.skipIf(chromiumPath === undefined)('in Chromium', () => {
    let browser: Browser;
    beforeAll(async () => {
      browser = await launchChromium();
    });
    afterAll(() => browser?.close());

    test('somebody who is signed in starts a sync, and another site cannot', async () => {
      // As with the session, the browser sends these along with whatever it requests from the app.
      const context = await browser.newContext();
      await context.route(`${host.url}/**`, (route) =>
        route.continue({ headers: { ...route.request().headers(), ...signedIn(['Mirror.Operate']) } }),
      );
      const page = await context.newPage();
      page.on('dialog', (dialog) => dialog.accept());
      const starts: number[] = [];
      page.on('response', (response) => {
        if (response.request().method() === 'POST') starts.push(response.status());
      });
      const evil = createServer((_, response) =>
        response.setHeader('content-type', 'text/html').end(`<!doctype html>
<form id="form" method="post" enctype="text/plain" action="${host.url}/api/sync"><input name="{}" value=""></form>
<script>
navigator.sendBeacon('${host.url}/api/sync', new Blob(['{}'], { type: 'text/plain' }));
Promise.allSettled([
  fetch('${host.url}/api/sync', { method: 'POST', mode: 'no-cors', body: '{}' }),
  fetch('${host.url}/api/sync', { method: 'POST', headers: { 'x-requested-with': 'x' } }),
]).then(() => document.getElementById('form').submit());
</script>`),
      ).listen(0, '127.0.0.1');
      await new Promise((done) => evil.once('listening', done));
      const before = (await (await send('/api/sync', signedIn(['Mirror.Read']))).json()) as {
        runs: unknown[];
      };
      await page.goto(`http://localhost:${(evil.address() as AddressInfo).port}/`);
      await page.waitForURL(`${host.url}/api/sync`);
      evil.close();
      expect(starts.length).toBeGreaterThanOrEqual(2);
      expect(new Set(starts)).toEqual(new Set([403]));
      const after = (await (await send('/api/sync', signedIn(['Mirror.Read']))).json()) as {
        runs: unknown[];
      };
      expect(after.runs).toHaveLength(before.runs.length);

      await page.goto(`${host.url}/api/dashboard`);
      await page.getByText('Signed in as ada@contoso.com').waitFor();
      await page
        .getByRole('button', { name: /a sync|the sync/ })
        .first()
        .click();
      await expect.poll(() => starts.at(-1)).not.toBe(403);
      expect([202, 409]).toContain(starts.at(-1));
      await context.close();
    });
  });
});

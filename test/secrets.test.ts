import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDataverseClient } from '../src/dataverse/client.ts';
import { createCredential } from '../src/dataverse/credential.ts';
import { canMakeCertificate, makeCertificate } from '../src/local/sample-dataverse/http/certificate.ts';
import { type SampleDataverse, startSampleDataverse } from '../src/local/sample-dataverse/index.ts';
import { captureLog } from './dataverse/http-server.ts';
import { noTimer } from './local/start-settings.ts';

/**
 * The product with marked secrets in every place that a secret can be, against servers that quote them back in every way.
 * Then everything that was written anywhere is searched for them. The instrumentation key of Application Insights is not
 * among them: Microsoft does not treat it as a secret, because it only lets others send telemetry.
 */

const root = resolve(import.meta.dirname, '..');
const token = 'MARKER-access.token~in/use+0123456789==';
/** Of somebody else: found by its form alone. */
const foreignToken = 'eyJhbGciOiJub25lIn0.eyJNQVJLRVIiOjF9.MARKERsignature';
const clientSecret = 'MARKER~client.secret/of+years_42';
const proxyPassword = 'MARKERproxyPassword7';

/** The texts that give a secret away, however it is encoded. */
function traces(secret: string): string[] {
  // The middle, so that a cut at either end does not hide it.
  const middle = secret.slice(4, -6);
  const base64 = [0, 1, 2].map((before) =>
    Buffer.from('x'.repeat(before) + secret)
      .toString('base64')
      .slice(6, -8),
  );
  const hex = encodeURIComponent(middle);
  const form = new URLSearchParams({ a: middle }).toString().slice(2);
  const all = [middle, hex, hex.toLowerCase(), form, form.toLowerCase(), ...base64];
  return [...new Set([...all, ...base64.map((one) => one.replaceAll('+', '-').replaceAll('/', '_'))])];
}

function expectNoSecret(where: string, content: Buffer | string, secrets: Record<string, string>): void {
  const bytes = Buffer.from(content);
  for (const [name, secret] of Object.entries(secrets)) {
    for (const trace of traces(secret)) {
      const at = bytes.indexOf(trace);
      const around = at < 0 ? '' : bytes.toString('latin1', Math.max(0, at - 100), at + 100);
      expect(around, `${name} in ${where}`).toBe('');
    }
  }
}

/** Answers that quote what the caller sent. */
const modes = [
  '401',
  '403',
  '302',
  '400 echo',
  'bad json',
  'in-stream error',
  'html',
  '500',
  'reset',
  '429',
] as const;
let mode: (typeof modes)[number] | undefined;

function misbehave(incoming: IncomingMessage, response: ServerResponse): void {
  const sent = incoming.headers.authorization ?? '';
  const quoted = [
    sent,
    sent.slice(7),
    foreignToken,
    Buffer.from(sent).toString('base64'),
    encodeURIComponent(sent),
  ];
  quoted.push(
    Buffer.from(sent.slice(7)).toString('base64url'),
    `line\n${sent.slice(7)}\nline`,
    incoming.url ?? '',
  );
  const message = `You sent ${quoted.join(' and ')} through http://user:${proxyPassword}@proxy.example:8080/`;
  const headers = {
    'x-ms-service-request-id': sent,
    'www-authenticate': `Bearer realm="${sent}"`,
    'retry-after': mode === '429' ? '1' : sent,
    'odata-version': '4.0',
  };
  const send = (status: number, body: string, more: Record<string, string> = {}) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers, ...more }).end(body);
  };
  const error = JSON.stringify({ error: { code: `0x8 ${sent}`, message } });
  if (mode === 'reset') incoming.socket.destroy();
  else if (mode === 'html') send(502, `<html>${message}`, { 'content-type': `text/html; x="${sent}"` });
  else if (mode === '302') send(302, '', { location: `http://127.0.0.1:1/?t=${encodeURIComponent(sent)}` });
  else if (mode === 'bad json') send(200, `{"value":[{"${sent}":"${message}`);
  else if (mode === 'in-stream error') send(200, error);
  else send(Number.parseInt(mode!, 10), error);
}

const servers: Server[] = [];
async function listen(server: Server): Promise<number> {
  servers.push(server.listen(0, '127.0.0.1'));
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

let folder: string;
let sample: SampleDataverse;
let dataverseUrl: string;
const children: ChildProcess[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'secrets-'));
  await writeFile(join(folder, 'entities.json'), '["account"]');
  sample = await startSampleDataverse({ rows: 20 });
  const { port } = new URL(sample.url);
  const server = createServer((incoming, response) => {
    if (mode !== undefined) return misbehave(incoming, response);
    const { method, url: path, headers } = incoming;
    const onward = request({ host: '127.0.0.1', port, method, path, headers }, (answer) => {
      response.writeHead(answer.statusCode!, answer.headers);
      answer.pipe(response);
    });
    incoming.pipe(onward);
  });
  dataverseUrl = `http://127.0.0.1:${await listen(server)}`;
});

afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  for (const server of servers) server.close().closeAllConnections();
  await sample.stop();
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
});

interface Started {
  child: ChildProcess;
  output: () => string;
  exit: Promise<unknown>;
}

/** The built command with all that can log turned up. */
function start(env: Record<string, string>, ...args: string[]): Started {
  const child = spawn(process.execPath, [join(root, 'dist/local/start.js'), ...args], {
    cwd: folder,
    env: {
      PATH: process.env['PATH'],
      AZURE_LOG_LEVEL: 'verbose',
      AzureFunctionsJobHost__logging__logLevel__default: 'Trace',
      ...noTimer,
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  let written = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (written += chunk));
  return { child, output: () => written, exit: once(child, 'close') };
}

/** Searches everything in a data folder: blobs, messages, the log, the database. */
async function expectNoSecretIn(data: string, secrets: Record<string, string>): Promise<void> {
  const files = await readdir(data, { recursive: true, withFileTypes: true });
  expect(files.length).toBeGreaterThan(3);
  for (const file of files.filter((each) => each.isFile())) {
    const path = join(file.parentPath, file.name);
    expect((await stat(path)).mode & 0o077, path).toBe(0);
    if (file.name !== 'local.json') expectNoSecret(path, await readFile(path), secrets);
  }
}

test('a server that quotes the token gets it into nothing that the product writes', async () => {
  const data = join(folder, 'data');
  const args = ['--dataverse', dataverseUrl, '--entities', join(folder, 'entities.json'), '--data', data];
  const { child, output, exit } = start({ DATAVERSE_ACCESS_TOKEN: token }, ...args, '--port', '0');
  while (!output().includes('Press Ctrl-C')) {
    if (child.exitCode !== null) throw new Error(output());
    await once(child.stdout!, 'data');
  }
  const address = /^Status +(\S+)$/m.exec(output())![1]!;
  const { functionKey, storageKey } = JSON.parse(await readFile(join(data, 'local.json'), 'utf8'));
  const secrets = { token, foreignToken, functionKey, storageKey, proxyPassword };
  const answers: string[] = [];
  const call = async (path: string, init: RequestInit = {}): Promise<string> => {
    const url = new URL(address);
    url.pathname = `/api/${path}`;
    const response = await fetch(url, init);
    const all = `${response.status} ${JSON.stringify([...response.headers])} ${await response.text()}`;
    answers.push(all);
    return all;
  };
  for (mode of modes) {
    const answer = await call('sync', { method: 'POST' });
    const runId = /"runId":"([\w-]+)"/.exec(answer)![1]!;
    // A run whose faults are retried goes on in the next modes.
    const deadline = performance.now() + 400;
    while (
      !/"phase":"(?:complete|failed)"/.test(await call(`sync/${runId}`)) &&
      performance.now() < deadline
    ) {
      await new Promise((done) => setTimeout(done, 100));
    }
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${foreignToken}` };
    const signal = AbortSignal.timeout(500);
    await call('metrics/campaign/00000000-0000-5000-8000-000000000000', { headers, signal }).catch(() => '');
    for (const accept of ['text/html', 'application/json'])
      await call(`sync/${runId}`, { headers: { accept } });
  }
  mode = undefined;
  for (const path of ['sync', 'schema', 'verify', 'openapi.json', 'nothing']) await call(path);
  child.kill('SIGINT');
  await exit;

  expect(answers.join('\n')).toMatch(/You sent/);
  // Pages have links with the key that their reader came with.
  const { functionKey: _, ...others } = secrets;
  expectNoSecret('the answers', answers.join('\n'), others);
  // The addresses with the key are printed on purpose.
  const pages = /^Pages +(\S+)$/m.exec(output())![1]!;
  expectNoSecret('the terminal', output().replaceAll(address, '').replaceAll(pages, ''), secrets);
  await expectNoSecretIn(data, secrets);
  expect(await readFile(join(data, 'functions.log'), 'utf8')).toMatch(/You sent .*\[secret\]/);
});

test('neither a wrapped token, a client secret nor the password of a proxy is shown', async () => {
  const proxy = createServer((_, response) => response.writeHead(502).end());
  proxy.on('connect', ({ headers }, socket) => {
    const sent = headers['proxy-authorization'];
    socket.end(`HTTP/1.1 407 ${sent}\r\nproxy-authenticate: ${sent}\r\n\r\nYou sent ${sent}`);
  });
  const through = { HTTPS_PROXY: `http://user:${proxyPassword}@127.0.0.1:${await listen(proxy)}` };
  const args = ['--once', '--entities', join(folder, 'entities.json')];
  const wrapped = { ...through, DATAVERSE_ACCESS_TOKEN: `${token}\n${token}` };
  const application = {
    ...through,
    DATAVERSE_TENANT_ID: '11111111-1111-1111-1111-111111111111',
    DATAVERSE_CLIENT_ID: '22222222-2222-2222-2222-222222222222',
    DATAVERSE_CLIENT_SECRET: clientSecret,
  };
  const data = join(folder, 'application');
  const runs = [
    start(wrapped, ...args, '--dataverse', dataverseUrl, '--data', join(folder, 'wrapped')),
    start({ ...through, DATAVERSE_ACCESS_TOKEN: token }, ...args, '--dataverse', 'https://contoso.example'),
    start(application, ...args, '--dataverse', dataverseUrl, '--data', data),
  ];
  const basic = Buffer.from(`user:${proxyPassword}`).toString('base64');
  for (const { exit, output } of runs) {
    await exit;
    expect(output()).toMatch(/Error: |failed/);
    expectNoSecret('the terminal', output(), { token, clientSecret, proxyPassword, basic });
  }
  await expectNoSecretIn(data, { clientSecret, proxyPassword, basic });
});

describe.skipIf(!canMakeCertificate())('a token service (skipped: no openssl here)', () => {
  test.each([400, 401, 500])(
    'that quotes the secret with status %i gets it into no error and no log',
    async (status) => {
      const { key, certificate } = makeCertificate();
      const service = createSecureServer({ key, cert: certificate }, async (incoming, response) => {
        const sent = await text(incoming);
        const base = `https://${incoming.headers.host}/ten`;
        const json = (code: number, value: object) =>
          response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(value));
        if (incoming.url!.includes('openid-configuration')) {
          const endpoints = {
            token_endpoint: `${base}/oauth2/v2.0/token`,
            authorization_endpoint: `${base}/authorize`,
          };
          return json(200, { ...endpoints, issuer: base, jwks_uri: `${base}/keys` });
        }
        const quoted = `${clientSecret} in ${sent}, ${Buffer.from(sent).toString('base64')}`;
        json(status, {
          error: 'invalid_client',
          error_description: `AADSTS7000215: You sent ${quoted}`,
          body: sent,
        });
      });
      const port = await listen(service);
      const { log, text: logged } = captureLog();
      const credential = createCredential({
        tenantId: 'ten',
        clientId: '22222222-2222-2222-2222-222222222222',
        clientSecret,
        authorityHost: `https://localhost:${port}`,
        disableInstanceDiscovery: true,
        ca: certificate,
      });
      const client = createDataverseClient({ url: dataverseUrl, credential, log, retry: { maxTries: 1 } });
      const error = (await client.count('accounts').catch((caught: unknown) => caught)) as Error;
      expect(error.message).toContain('Cannot get a token');
      const everything = [error.message, error.stack, String(error.cause), JSON.stringify(error), logged()];
      expectNoSecret('the error', everything.join('\n'), { clientSecret });
    },
  );
});

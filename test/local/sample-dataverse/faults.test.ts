import { ClientSecretCredential } from '@azure/identity';
import { afterEach, describe, expect, it } from 'vitest';
import {
  canMakeCertificate,
  type FaultKind,
  type SampleDataverse,
  type SampleDataverseOptions,
  sampleClient,
  sampleTenant,
  startSampleDataverse,
} from '../../../src/local/sample-dataverse/index.ts';
import { api, readAll, send } from './http.ts';

let dataverse: SampleDataverse;
const start = async (options: SampleDataverseOptions = {}) => {
  dataverse = await startSampleDataverse({ rows: 1000, ...options });
  return dataverse;
};
const contacts = () =>
  send(api(dataverse.url, 'contacts?$select=fullname'), { prefer: 'odata.maxpagesize=20' });
afterEach(() => dataverse.stop());

describe('faults', () => {
  it.each([
    ['429', 429, /^0x8007232[126]$/],
    ['503', 503, /^0x/],
    ['403-not-a-member', 403, /^0x80072560$/],
    ['sql-timeout', 500, /^0x80044151$/],
    ['deadlock', 500, /^0x80044150$/],
    ['query-throttled', 400, /^0x80048544$/],
    ['expired-token', 400, /^0x80044352$/],
  ] as [FaultKind, number, RegExp][])('%s is sent once', async (kind, status, code) => {
    await start();
    const active = dataverse.faults.add({ kind, match: /contacts/ });
    expect((await send(api(dataverse.url, 'accounts'))).status).toBe(200);
    const answer = await contacts();
    expect(answer.status).toBe(status);
    expect(answer.json.error.code).toMatch(code);
    if (kind === '429') expect(answer.headers.get('retry-after')).toBe('1');
    expect((await contacts()).status).toBe(200);
    expect(active.hits).toBe(1);
  });

  it('send the responses of a gateway', async () => {
    await start();
    dataverse.faults.add({ kind: '502-html' });
    const gateway = await contacts();
    expect([gateway.status, gateway.headers.get('content-type')]).toEqual([502, 'text/html']);
    dataverse.faults.add({ kind: '401' });
    expect((await contacts()).headers.get('www-authenticate')).toMatch(/^Bearer/);
  });

  it('break connections and bodies', async () => {
    await start();
    for (const kind of ['reset', 'reset-mid-body', 'commit-then-reset'] as const) {
      dataverse.faults.add({ kind });
      await expect(contacts(), kind).rejects.toThrow();
    }
    dataverse.faults.add({ kind: 'timeout', delayMs: 50 });
    await expect(contacts()).rejects.toThrow();
    for (const kind of ['truncate', 'not-json'] as const) {
      dataverse.faults.add({ kind });
      await expect(contacts(), kind).rejects.toThrow(SyntaxError);
    }
    dataverse.faults.add({ kind: 'empty-body' });
    expect((await contacts()).text).toBe('');
    dataverse.faults.add({ kind: 'slow-body', delayMs: 100 });
    expect((await contacts()).json.value.length).toBe(20);
  });

  it('commit a write and lose its response', async () => {
    await start();
    const before = dataverse.store.count('account');
    for (const kind of ['commit-then-reset', 'commit-then-timeout'] as const) {
      dataverse.faults.add({ kind, delayMs: 30, match: /^POST/ });
      const post = send(api(dataverse.url, 'accounts'), { method: 'POST', body: { name: kind } });
      await expect(post).rejects.toThrow();
    }
    expect(dataverse.store.count('account')).toBe(before + 2);
  });

  it('return wrong next links and repeated rows', async () => {
    await start();
    const url = api(dataverse.url, 'contacts?$select=fullname');
    dataverse.faults.add({ kind: 'repeat-nextlink' });
    expect((await contacts()).json['@odata.nextLink']).toBe(url);
    dataverse.faults.add({ kind: 'foreign-nextlink' });
    expect((await contacts()).json['@odata.nextLink']).toMatch(/^https:\/\/elsewhere\.example\//);
    dataverse.faults.add({ kind: 'repeat-row', match: /skiptoken/ });
    const { rows } = await readAll(url, 'odata.maxpagesize=20');
    expect(rows.length).toBe(dataverse.store.count('contact') + 1);
    expect(rows[20].contactid).toBe(rows[19].contactid);
  });

  it('apply to a share of the requests, or after some requests', async () => {
    await start();
    const active = dataverse.faults.add({ kind: '503', rate: 0.2 });
    const statuses = [];
    for (let i = 0; i < 200; i++) statuses.push((await contacts()).status);
    expect(statuses.filter((status) => status === 503).length).toBe(active.hits);
    expect(active.hits).toBeGreaterThan(20);
    expect(active.hits).toBeLessThan(65);
    active.remove();
    dataverse.faults.add({ kind: '503', after: 2, times: 2 });
    const next = [];
    for (let i = 0; i < 5; i++) next.push((await contacts()).status);
    expect(next).toEqual([200, 200, 503, 503, 200]);
  });
});

describe('service protection', () => {
  it('reports remaining requests as the service does, and counts requests that come too early', async () => {
    await start({ protection: { requests: 3, windowSeconds: 60 } });
    const first = await contacts();
    expect(first.headers.get('x-ms-ratelimit-burst-remaining-xrm-requests')).toBe('2');
    expect(first.headers.get('x-ms-ratelimit-time-remaining-xrm-requests')).toMatch(
      /^1,(200\.00|1\d\d\.\d\d)$/,
    );
    expect(first.headers.get('x-ms-dop-hint')).toBe('16');
    await contacts();
    await contacts();
    const refused = await contacts();
    expect([refused.status, refused.json.error.code]).toEqual([429, '0x80072322']);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect(dataverse.stats.earlyRequests).toBe(0);
    await contacts();
    expect(dataverse.stats.earlyRequests).toBe(1);
  });
});

describe.skipIf(!canMakeCertificate())('HTTPS and tokens (skipped without the openssl command)', () => {
  const credential = (secret = sampleClient.secret) =>
    new ClientSecretCredential(sampleTenant, sampleClient.id, secret, {
      authorityHost: dataverse.url,
      disableInstanceDiscovery: true,
      tlsOptions: { ca: dataverse.certificate! },
      retryOptions: { maxRetries: 0 },
    });
  const status = async (token: string) => {
    const { request } = await import('node:https');
    return new Promise<number | undefined>((resolve, reject) => {
      const headers = { authorization: `Bearer ${token}` };
      request(api(dataverse.url, 'accounts?$top=1'), { ca: dataverse.certificate!, headers }, (response) => {
        response.resume();
        resolve(response.statusCode);
      })
        .on('error', reject)
        .end();
    });
  };

  it('work with ClientSecretCredential, and expired or revoked tokens are rejected', async () => {
    let now = Date.now();
    await start({ tls: true, issuedTokensOnly: true, tokenLifetimeSeconds: 600, clock: () => new Date(now) });
    const token = await credential().getToken(`${dataverse.url}/.default`);
    expect(dataverse.tokens.issued).toBe(1);
    expect(await status(token.token)).toBe(200);
    expect(await status('another')).toBe(401);
    now += 601_000;
    expect(await status(token.token)).toBe(401);
    const second = await credential().getToken(`${dataverse.url}/.default`);
    expect(await status(second.token)).toBe(200);
    dataverse.tokens.revoke();
    expect(await status(second.token)).toBe(401);
  });

  it('reject a wrong secret and another resource', async () => {
    await start({ tls: true, issuedTokensOnly: true });
    await expect(credential('wrong').getToken(`${dataverse.url}/.default`)).rejects.toThrow(/AADSTS7000215/);
    await expect(credential().getToken('https://other.example/.default')).rejects.toThrow(/AADSTS500011/);
  });
});

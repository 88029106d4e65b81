import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDataverseClient, type DataverseClient, type PageQuery } from '../../src/dataverse/client.ts';
import { createCredential } from '../../src/dataverse/credential.ts';
import { parseTombstone } from '../../src/dataverse/read/change-tracking.ts';
import { parseRows } from '../../src/dataverse/read/page.ts';
import { exactNumber } from '../../src/dataverse/write/exact-number.ts';
import {
  canMakeCertificate,
  type SampleDataverse,
  sampleClient,
  sampleTenant,
  startSampleDataverse,
} from '../../src/local/sample-dataverse/index.ts';
import { clientFor } from './http-server.ts';

let sample: SampleDataverse;
let client: DataverseClient;

beforeAll(async () => {
  sample = await startSampleDataverse({ rows: 3000 });
  client = clientFor(sample, { maxConcurrency: 64 });
});

afterAll(() => sample.stop());

async function readIds(
  query: PageQuery,
  column: string,
): Promise<{ ids: Set<string>; deltaLink?: string; gone: string[] }> {
  const ids = new Set<string>();
  const gone: string[] = [];
  let deltaLink: string | undefined;
  for await (const page of client.readPages(query)) {
    for (const row of parseRows(page)) {
      const tombstone = parseTombstone(Buffer.from(JSON.stringify(row)));
      if (tombstone !== undefined) gone.push(tombstone.id);
      else ids.add(String(row[column]).toLowerCase());
    }
    deltaLink = page.deltaLink;
  }
  return { ids, deltaLink, gone };
}

const keysOf = (table: string) => new Set(sample.store.truth(table).keys());

test('reads every row in small pages despite every kind of fault', async () => {
  for (const kind of [
    '429',
    '503',
    '504',
    '502-html',
    'sql-timeout',
    'deadlock',
    'query-throttled',
    'reset',
    'reset-mid-body',
    'truncate',
    'not-json',
    'empty-body',
    '401',
  ] as const) {
    sample.faults.add({ kind, match: /accounts\?/, after: 1, times: 1, retryAfter: 0 });
  }
  const patient = clientFor(sample, {
    retry: { maxTries: 20, baseDelaySeconds: 0.001, maxDelaySeconds: 0.05 },
  });
  const ids = new Set<string>();
  for await (const page of patient.readPages({ entitySet: 'accounts', select: ['name'], pageSize: 20 })) {
    for (const row of parseRows(page)) ids.add(String(row['accountid']).toLowerCase());
  }
  expect(ids).toEqual(keysOf('account'));
  expect(patient.stats.retries).toBe(12);
  sample.faults.clear();
});

test.each(['repeat-nextlink', 'foreign-nextlink'] as const)('stops at a %s', async (kind) => {
  const fault = sample.faults.add({ kind, match: /accounts\?/, after: 1 });
  await expect(readIds({ entitySet: 'accounts', pageSize: 50 }, 'accountid')).rejects.toMatchObject({
    name: 'LinkError',
  });
  fault.remove();
});

test('tracks changes: all rows, then changed, created and deleted ones', async () => {
  const first = await readIds(
    { entitySet: 'contacts', select: ['lastname'], pageSize: 100, trackChanges: true },
    'contactid',
  );
  expect(first.ids).toEqual(keysOf('contact'));
  const [changed, deleted] = [...first.ids];
  await client.update('contacts', changed!, { lastname: 'Ångström 🐘' });
  expect(await client.delete('contacts', deleted!)).toBe(true);
  const created = randomUUID();
  await client.upsert('contacts', created, { lastname: 'New' });
  const second = await readIds(
    { entitySet: 'contacts', link: first.deltaLink!, trackChanges: true },
    'contactid',
  );
  // Rows that referred to the deleted one changed as well.
  for (const id of [changed!, created]) expect(second.ids).toContain(id);
  expect(second.ids).not.toContain(deleted);
  expect(second.gone).toEqual([deleted]);
  const third = await readIds({ entitySet: 'contacts', link: second.deltaLink! }, 'contactid');
  expect([third.ids.size, third.gone.length, third.deltaLink !== undefined]).toEqual([0, 0, true]);
  sample.faults.add({ kind: 'expired-token', match: /deltatoken/ });
  await expect(readIds({ entitySet: 'contacts', link: third.deltaLink! }, 'contactid')).rejects.toMatchObject(
    {
      name: 'ChangeTrackingError',
      reason: 'expired',
    },
  );
});

test('reads by id in batches', async () => {
  const ids = [...keysOf('account')];
  const found: string[] = [];
  for await (const page of client.readByIds({
    entitySet: 'accounts',
    primaryKey: 'accountid',
    ids: [...ids, randomUUID()],
    select: ['name'],
  })) {
    found.push(...parseRows(page).map((row) => String(row['accountid']).toLowerCase()));
  }
  expect(new Set(found)).toEqual(new Set(ids));
});

test('reads metadata, definitions and counts', async () => {
  const read = await client.readMetadataDocument();
  expect(read).not.toBe('unchanged');
  const definitions = await client.readEntityDefinitions();
  expect(definitions.find(({ logicalName }) => logicalName === 'account')).toMatchObject({
    entitySetName: 'accounts',
    primaryIdAttribute: 'accountid',
    primaryNameAttribute: 'name',
    isIntersect: false,
    changeTrackingEnabled: true,
  });
  const intersects = definitions
    .filter(({ isIntersect }) => isIntersect)
    .map(({ logicalName }) => logicalName);
  expect(intersects.length).toBeGreaterThan(1);
  expect(await client.count('accounts')).toBe(keysOf('account').size);
  const version = await client.readMetadataVersion('accounts', 'accountid');
  expect(version).toBe(await client.readMetadataVersion('contacts', 'contactid'));
  expect(version).toMatch(/^\d+$/);
});

test('writes rows once although responses are lost after the commit', async () => {
  const before = sample.store.count('account');
  const accountid = randomUUID();
  sample.faults.add({ kind: 'commit-then-reset', match: /^POST/ });
  expect(
    await client.create('accounts', { accountid, name: 'Once' }, { idColumn: 'accountid' }),
  ).toMatchObject({ id: accountid });
  sample.faults.add({ kind: 'commit-then-reset', match: /^PATCH/ });
  await client.upsert('accounts', accountid, { name: 'Twice' });
  expect((await client.readRow('accounts', accountid, { select: ['name'] }))?.['name']).toBe('Twice');
  expect(sample.store.count('account')).toBe(before + 1);
  sample.faults.add({ kind: 'commit-then-reset', match: /^DELETE/ });
  expect(await client.delete('accounts', accountid)).toBe(true);
  expect(await client.readRow('accounts', accountid)).toBeUndefined();
  await expect(client.update('accounts', accountid, { name: 'x' })).rejects.toMatchObject({
    fault: { status: 404 },
  });
});

test('writes campaign metrics in bulk, exactly, and reports invalid ones', async () => {
  const rows = Array.from({ length: 40 }, (_, index) => ({
    apex_campaignmetricsid: randomUUID(),
    apex_campaignid: `campaign ${index}`,
    apex_runid: 'run',
    apex_phase: index === 13 ? 'a phase that is far longer than sixteen characters' : 'phase',
    apex_costusd: exactNumber('0.10000'),
  }));
  const write = {
    message: 'UpsertMultiple',
    entitySet: 'apex_campaignmetricses',
    logicalName: 'apex_campaignmetrics',
    rows,
  } as const;
  const result = await client.writeBulk(write);
  expect(result.rejected.map(({ index }) => index)).toEqual([13]);
  expect(result.written).toBe(39);
  expect(await client.count('apex_campaignmetricses')).toBe(sample.store.count('apex_campaignmetrics'));
});

test('rolls back a failed change set of a batch and executes the rest', async () => {
  const [kept, dropped] = [randomUUID(), randomUUID()];
  const answers = await client.batch(
    [
      {
        changeSet: [
          { method: 'PATCH', path: `accounts(${dropped})`, body: { name: 'x' } },
          { method: 'PATCH', path: `accounts(${dropped})`, body: { nonsense: 1 } },
        ],
      },
      { method: 'PATCH', path: `accounts(${kept})`, body: { name: 'kept' } },
      { method: 'GET', path: `accounts(${kept})?$select=name` },
    ],
    { continueOnError: true },
  );
  expect(answers).toHaveLength(3);
  expect(JSON.parse((answers[2] as { body: Buffer }).body.toString()).name).toBe('kept');
  expect(await client.readRow('accounts', dropped)).toBeUndefined();
});

describe.skipIf(!canMakeCertificate())(
  'over HTTPS with tokens that expire (skipped: no openssl here)',
  () => {
    test('requests a new token after the old one is revoked', async () => {
      const secure = await startSampleDataverse({
        rows: 200,
        tls: true,
        issuedTokensOnly: true,
        tokenLifetimeSeconds: 3600,
      });
      try {
        const credential = createCredential({
          tenantId: sampleTenant,
          clientId: sampleClient.id,
          clientSecret: sampleClient.secret,
          authorityHost: secure.url,
          disableInstanceDiscovery: true,
          ca: secure.certificate,
        });
        const tls = { ca: secure.certificate! };
        const secured = createDataverseClient({ url: secure.url, credential, tls });
        expect(await secured.count('accounts')).toBeGreaterThan(0);
        expect(await secured.count('contacts')).toBeGreaterThan(0);
        expect(secure.tokens.issued).toBe(1);
        secure.tokens.revoke();
        expect(await secured.count('accounts')).toBeGreaterThan(0);
        expect(secure.tokens.issued).toBe(2);
        const wrong = createCredential({
          tenantId: sampleTenant,
          clientId: sampleClient.id,
          clientSecret: 'wrong-secret',
          authorityHost: secure.url,
          disableInstanceDiscovery: true,
          ca: secure.certificate,
        });
        const refused = await createDataverseClient({ url: secure.url, credential: wrong, tls })
          .count('accounts')
          .catch((error) => error);
        expect(refused.name).toBe('ConfigurationError');
        expect(JSON.stringify(refused) + refused.message).not.toContain('wrong-secret');
        const distrustful = createDataverseClient({ url: secure.url, credential });
        await expect(distrustful.count('accounts')).rejects.toMatchObject({
          name: 'DataverseConfigurationError',
        });
      } finally {
        await secure.stop();
      }
    });

    test('renews a token before it expires', async () => {
      const secure = await startSampleDataverse({
        rows: 200,
        tls: true,
        issuedTokensOnly: true,
        tokenLifetimeSeconds: 2,
      });
      try {
        const credential = createCredential({
          tenantId: sampleTenant,
          clientId: sampleClient.id,
          clientSecret: sampleClient.secret,
          authorityHost: secure.url,
          disableInstanceDiscovery: true,
          ca: secure.certificate,
        });
        const secured = createDataverseClient({
          url: secure.url,
          credential,
          tls: { ca: secure.certificate! },
        });
        const until = Date.now() + 4000;
        while (Date.now() < until) {
          await secured.count('accounts');
          await new Promise((resolve) => setTimeout(resolve, 300));
        }
        expect(secure.tokens.issued).toBeGreaterThan(1);
        expect(secured.stats.retries).toBe(0);
      } finally {
        await secure.stop();
      }
    });
  },
);

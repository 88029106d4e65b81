import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { BlobServiceClient } from '@azure/storage-blob';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type SampleDataverse, startSampleDataverse } from '../../src/local/sample-dataverse/index.ts';
import type { RunStatus } from '../../src/sync/run/run-status.ts';
import { type Azurite, startAzurite } from '../azurite.ts';
import { type DeployedApp, deploy } from '../package/deployed-app.ts';

const root = resolve(import.meta.dirname, '../..');

describe('POST /api/changes', () => {
  let dataverse: SampleDataverse;
  let azurite: Azurite;
  let folder: string;
  let app: DeployedApp;
  let organizationId: string;

  const environment = () => ({
    AzureWebJobsStorage: azurite.connectionString,
    DATAVERSE_URL: dataverse.url,
    DATAVERSE_ACCESS_TOKEN: 'test',
    SYNC_SCHEDULE: '0 0 0 1 1 *',
    SYNC_ENTITIES_FILE: join(folder, 'entities.json'),
    SYNC_QUEUE_PREFIX: 'changes',
    SYNC_WORK_CONTAINER: 'changes-work',
    SYNC_DATABASE_CONTAINER: 'changes-data',
    SYNC_CHANGES_DELAY: '1',
    SYNC_CHANGES_INTERVAL: '0',
  });

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'changes-'));
    writeFileSync(join(folder, 'entities.json'), '["account", "contact", "lead", "accountleads"]');
    azurite = await startAzurite();
    dataverse = await startSampleDataverse({ rows: 50 });
    app = await deploy(root, environment(), folder);
    const me = await fetch(`${dataverse.url}/api/data/v9.2/WhoAmI`, {
      headers: { authorization: 'Bearer test' },
    });
    organizationId = ((await me.json()) as { OrganizationId: string }).OrganizationId;
    await app.fetch('sync', { method: 'POST' });
    await quiet();
  });
  afterAll(async () => {
    app.stop();
    await dataverse.stop();
    await azurite.stop();
    rmSync(folder, { recursive: true });
  });

  const runs = async () =>
    (await (await app.fetch('sync', { headers: { accept: 'application/json' } })).json()) as {
      active: RunStatus | null;
      runs: RunStatus[];
    };

  const container = () =>
    BlobServiceClient.fromConnectionString(azurite.connectionString).getContainerClient('changes-work');

  /** Until no change and no run is left. */
  async function quiet(): Promise<void> {
    const isQuiet = async () => {
      for await (const _ of container().listBlobsFlat({ prefix: 'changes' })) return false;
      return (await runs()).active === null && (await runs()).runs.length > 0;
    };
    await vi.waitUntil(isQuiet, { timeout: 90_000, interval: 100 });
  }

  /** The messages that Dataverse sends are those of learn.microsoft.com: Use webhooks, "Request Body". */
  const message = (table: string, more: object = {}) => ({
    ...{ MessageName: 'Update', PrimaryEntityName: table, OrganizationId: organizationId },
    ...{ PrimaryEntityId: '6d81597f-0f9f-e711-8122-000d3aa2331c', Stage: 40, Mode: 1, InputParameters: [] },
    ...more,
  });

  const post = (body: unknown, headers: Record<string, string> = {}) =>
    app.fetch('changes', {
      method: 'POST',
      headers: { 'content-type': 'application/json; charset=utf-8', ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });

  async function mirrored(table: string): Promise<Set<string>> {
    const file = join(folder, 'mirror.db');
    await BlobServiceClient.fromConnectionString(azurite.connectionString)
      .getContainerClient('changes-data')
      .getBlobClient('dataverse.db')
      .downloadToFile(file);
    using database = new DatabaseSync(file);
    const { entitySetName, primaryId } = dataverse.store.table(table);
    const rows = database.prepare(`SELECT ${primaryId} AS id FROM ${entitySetName}`).all();
    return new Set(rows.map(({ id }) => String(id)));
  }

  const truth = (table: string) => new Set(dataverse.store.truth(table).keys());

  it('answers a burst of 100 messages with few runs of the tables that changed', async () => {
    const before = (await runs()).runs.length;
    const answers = Array.from({ length: 100 }, async (_, n) => {
      const table = n % 2 === 0 ? 'account' : 'contact';
      dataverse.store.create(table, {});
      return (await post(message(table, { MessageName: 'Create' }))).status;
    });
    expect(new Set(await Promise.all(answers))).toEqual(new Set([202]));
    await quiet();
    const after = (await runs()).runs;
    const started = after.slice(0, after.length - before);
    expect(started.length).toBeGreaterThan(0);
    expect(started.length).toBeLessThan(8);
    for (const { tables, trigger, phase } of started) {
      expect(['account', 'contact']).toEqual(expect.arrayContaining(tables!));
      expect([trigger, phase]).toEqual(['changes', 'complete']);
    }
    for (const table of ['account', 'contact']) expect(await mirrored(table)).toEqual(truth(table));
  });

  it('reads what changes during a run in the next one', async () => {
    await app.fetch('sync', { method: 'POST', body: '{"reread": "all"}' });
    dataverse.store.create('lead', {});
    expect((await post(message('lead'))).status).toBe(202);
    await quiet();
    expect(await mirrored('lead')).toEqual(truth('lead'));
    expect((await runs()).runs[0]!.tables).toEqual(['lead']);
  });

  it('finds the intersect table of a link', async () => {
    const [account] = truth('account');
    const [lead] = truth('lead');
    dataverse.store.associate('accountleads', account!, lead!);
    const reference = (LogicalName: string, Id: string) => ({ LogicalName, Id, KeyAttributes: [] });
    const body = message('none', {
      MessageName: 'Associate',
      InputParameters: [
        { key: 'Target', value: reference('account', account!) },
        { key: 'Relationship', value: { PrimaryEntityRole: null, SchemaName: 'accountleads_association' } },
        { key: 'RelatedEntities', value: [reference('lead', lead!)] },
      ],
    });
    const answer = (await (await post(body)).json()) as { tables: string[] };
    expect(answer.tables.sort()).toEqual(['account', 'accountleads', 'lead']);
    // Above 256 KB the message has no parameters.
    const cut = message('none', { MessageName: 'Disassociate', InputParameters: undefined });
    const headers = { 'x-ms-dynamics-msg-size-exceeded': 'true' };
    expect(await (await post(cut, headers)).json()).toMatchObject({ tables: ['accountleads'] });
    await quiet();
    expect(await mirrored('accountleads')).toEqual(truth('accountleads'));
  });

  it('ignores tables that are not mirrored', async () => {
    for (const table of ['task', 'none', '__proto__']) {
      const answer = await post(message(table));
      expect([answer.status, await answer.json()]).toEqual([
        202,
        expect.objectContaining({ outcome: 'ignored' }),
      ]);
    }
    await quiet();
  });

  it.each<[string, number, () => Promise<Response>]>([
    ['a body that is cut', 400, () => post(JSON.stringify(message('account')).slice(0, -9))],
    ['a body that is too large', 413, () => post(message('account', { x: 'x'.repeat(2 ** 21) }))],
    ['deep JSON', 400, () => post('['.repeat(500_000))],
    ['another content type', 415, () => post(message('account'), { 'content-type': 'text/plain' })],
    ['another value', 400, () => post(null)],
    ['no organisation', 400, () => post(message('account', { OrganizationId: undefined }))],
    ['parameters of another form', 400, () => post(message('account', { InputParameters: [null] }))],
    [
      'another organisation',
      403,
      () => post(message('account', { OrganizationId: '4ef5b371-e89e-4711-8122-000d3aa2331c' })),
    ],
    ['no key', 401, () => fetch(`${app.url}/api/changes`, { method: 'POST', body: '{}' })],
    ['a wrong key', 401, () => fetch(`${app.url}/api/changes?code=wrong`, { method: 'POST', body: '{}' })],
    ['another method', 405, () => app.fetch('changes')],
  ])('rejects %s with %i', async (_, status, send) => {
    const answer = await send();
    expect(answer.status).toBe(status);
    if (status !== 401) {
      const problem = (await answer.json()) as { detail: string; hint: string };
      expect(problem).toMatchObject({ status, detail: expect.any(String), hint: expect.any(String) });
    }
    // Nothing is stored that would start a run.
    for await (const { name } of container().listBlobsFlat({ prefix: 'changes' })) expect(name).toBe('');
  });

  it('takes the key that a webhook of the type WebhookKey sends', async () => {
    const answer = await fetch(`${app.url}/api/changes?code=${app.functionKey}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(message('task')),
    });
    expect(answer.status).toBe(202);
  });

  it('loses nothing when the process is killed between the answer and the start', async () => {
    dataverse.store.create('contact', {});
    expect((await post(message('contact'))).status).toBe(202);
    app.stop();
    app = await deploy(root, environment(), folder);
    await quiet();
    expect(await mirrored('contact')).toEqual(truth('contact'));
    expect(app.log()).not.toContain(app.functionKey);
  });
});

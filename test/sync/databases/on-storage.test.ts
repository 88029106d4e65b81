import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type SampleDataverse, startSampleDataverse } from '../../../src/local/sample-dataverse/index.ts';
import { openRestore } from '../../../src/services.ts';
import { listVersions, restoreDatabase } from '../../../src/sync/restore/restore-database.ts';
import { type Azurite, startAzurite } from '../../azurite.ts';
import { Harness } from '../harness.ts';
import { MirrorCheck } from '../mirror-check.ts';
import { withDatabase } from '../truth.ts';

let azurite: Azurite;
let dataverse: SampleDataverse;

beforeAll(async () => {
  azurite = await startAzurite();
  dataverse = await startSampleDataverse({ rows: 0 });
});
afterAll(async () => {
  await dataverse.stop();
  await azurite.stop();
});

it('the contents of files stay with the rows of a table that moves', async () => {
  const account = { name: 'account', files: true };
  const harness = await Harness.create({
    connectionString: azurite.connectionString,
    dataverseUrl: dataverse.url,
    entities: [account, 'lead'],
  });
  const id = dataverse.store.create('account', { entityimage: Buffer.from('an image').toString('base64') });
  dataverse.store.create('lead', {});
  await harness.sync();
  const { published } = harness.services;
  const blob = `files/accounts/${id}/entityimage`;
  const content = await published.getBytes(blob);
  expect(content).toBeDefined();
  harness.configure([{ ...account, database: 'media' }, 'lead']);
  for (const files of [1, 0]) {
    const status = await harness.sync();
    expect(status).toMatchObject({ phase: 'complete', totals: { failed: 0 } });
    expect(status.files?.fetched ?? 0).toBe(files);
    expect(await published.getBytes(blob)).toEqual(content);
    const listed = (name?: string) =>
      harness
        .databaseBytes(name)
        .then((bytes) => withDatabase(bytes, (db) => db.prepare('SELECT row_id, blob FROM _files').all()));
    expect(await listed('media')).toEqual([{ row_id: id, blob }]);
    expect(await listed()).toEqual([]);
  }
  dataverse.store.delete('account', id);
  await harness.sync();
  expect(await published.getBytes(blob)).toBeUndefined();
});

it('several databases in Blob storage are synced, and one of them is restored with its cursors', async () => {
  const { store } = dataverse;
  const entities = [
    ...['account', { name: 'contact', database: 'sales' }, { name: 'lead', database: 'sales' }],
    { name: 'systemuser', database: 'people', filtered: true },
  ];
  const harness = await Harness.create({
    connectionString: azurite.connectionString,
    dataverseUrl: dataverse.url,
    entities,
    settings: { SYNC_KEEP_VERSIONS: '5' },
  });
  const check = new MirrorCheck(harness, dataverse);
  const names = [undefined, 'sales', 'people'];
  for (const table of ['account', 'contact', 'lead']) for (let n = 0; n < 5; n++) store.create(table, {});
  const sync = async () => {
    const status = await harness.sync();
    expect(status).toMatchObject({ phase: 'complete', totals: { failed: 0 } });
    await check.now(harness.entities, new Date().toISOString());
    return status;
  };
  const first = await sync();
  const before = await harness.etags(...names);
  await sync();
  expect(await harness.etags(...names)).toEqual(before);

  // The time of a commit has whole seconds.
  await delay(1_010 - (Date.now() % 1_000));
  store.create('contact', {});
  const second = await sync();
  const [account, sales, people] = await harness.etags(...names);
  expect([account, people]).toEqual([before[0], before[2]]);
  expect(sales).not.toBe(before[1]);

  const services = openRestore(harness.services.settings, 'sales');
  const versions = await listVersions(services);
  expect(versions.map(({ kind, runId }) => [kind, runId])).toEqual([
    ['current', second.runId],
    // The later one of the runs that ended with it.
    ['snapshot', expect.any(String)],
  ]);
  expect(versions[1]!.runId! >= first.runId).toBe(true);
  const restored = await restoreDatabase(services, versions[1]!.committedAt);
  expect(restored.isUnchanged).toBe(false);
  harness.restarted();
  const third = await sync();
  expect(third.totals).toMatchObject({ added: 1, deleted: 0 });
  const after = await harness.etags(...names);
  expect([after[0], after[2]]).toEqual([account, people]);
});

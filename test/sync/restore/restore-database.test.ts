import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { ConfigurationError, ConflictError } from '../../../src/errors.ts';
import { type SampleDataverse, startSampleDataverse } from '../../../src/local/sample-dataverse/index.ts';
import { openRestore } from '../../../src/services.ts';
import { paths } from '../../../src/sync/documents/paths.ts';
import { listVersions, restoreDatabase } from '../../../src/sync/restore/restore-database.ts';
import { type Azurite, startAzurite } from '../../azurite.ts';
import { sampleOf } from '../../long.ts';
import { Harness } from '../harness.ts';
import { differences, readTruth, withDatabase } from '../truth.ts';

let azurite: Azurite;
let dataverse: SampleDataverse;

beforeAll(async () => {
  azurite = await startAzurite();
});
beforeEach(async () => {
  dataverse = await startSampleDataverse({ rows: 0 });
});
afterEach(() => dataverse.stop());
afterAll(() => azurite.stop());

/** A table for each strategy. */
const tables = ['account', 'lead', 'new_shipmentline', 'contact'];

/** A mirror with some commits behind it: rows are added, changed and deleted before each. */
async function mirror(syncs: number) {
  const { store } = dataverse;
  const entities = [...tables.slice(0, 3), { name: 'contact', filtered: true }];
  const { connectionString } = azurite;
  const settings = { SYNC_KEEP_VERSIONS: '20' };
  const harness = await Harness.create({ connectionString, dataverseUrl: dataverse.url, entities, settings });
  const contacts = Array.from({ length: 9 }, () => store.create('contact', {}));
  const rows = Object.fromEntries(
    tables.slice(0, 3).map((table) => [table, Array.from({ length: 10 }, () => store.create(table, {}))]),
  );
  const change = (step: number): void => {
    for (const table of tables.slice(0, 3)) {
      store.create(table, {});
      store.delete(table, rows[table]![9 - step]!);
    }
    store.update('lead', rows['lead']![0]!, { subject: `step ${step}` });
    store.update('account', rows['account']![0]!, { _primarycontactid_value: contacts[step]! });
  };
  /** The last commit of each run. A run commits once for each round. */
  const commits: { runId: string; at: Date }[] = [];
  for (let step = 0; step < syncs; step++) {
    change(step);
    const { runId } = await harness.sync();
    const [current] = await openRestore(harness.services.settings).listVersions();
    commits.push({ runId, at: current!.committedAt });
    // The time of a commit has whole seconds.
    await delay(1_010 - (Date.now() % 1_000));
  }
  const services = openRestore(harness.services.settings);
  const expectTruth = async (): Promise<void> => {
    const bytes = await harness.databaseBytes();
    const referred = new Set(
      (await readTruth(dataverse.url, 'accounts')).map((row) => row['_primarycontactid_value']),
    );
    for (const name of tables) {
      const { entitySetName, primaryId } = store.table(name);
      const truth = (await readTruth(dataverse.url, entitySetName!)).filter(
        (row) => name !== 'contact' || referred.has(row[primaryId]),
      );
      const shape = { entitySet: entitySetName!, primaryKey: primaryId };
      withDatabase(bytes, (db) => expect(differences(db, shape, truth)).toEqual([]));
    }
  };
  /** The subject that the lead of the first row had in the state. */
  const subject = async () =>
    withDatabase(
      await harness.databaseBytes(),
      (db) => db.prepare("SELECT subject FROM leads WHERE subject LIKE 'step %'").get()?.['subject'],
    );
  return { harness, services, commits, rows, change, expectTruth, subject };
}

it('a restored database is listed with its run, and the next run brings everything that changed since', async () => {
  const { harness, services, commits, expectTruth, subject } = await mirror(3);
  const listed = await listVersions(services);
  expect(new Set(listed.slice(1).map(({ kind }) => kind))).toEqual(new Set(['snapshot']));
  const runs = listed.flatMap(({ runId }) => runId ?? []);
  expect(runs).toEqual(commits.map(({ runId }) => runId).reverse());

  const { published } = harness.services;
  await published.put('checked-figures.json', { recount: [], dangling: {} });
  const restored = await restoreDatabase(services, commits[0]!.at);
  // What a check counted is of the state that was replaced.
  expect(await published.exists('checked-figures.json')).toBe(false);
  expect(restored).toMatchObject({ isUnchanged: false, version: { committedAt: commits[0]!.at } });
  expect(await subject()).toBe('step 0');
  const status = await harness.sync();
  expect(status).toMatchObject({ phase: 'complete', totals: { failed: 0 } });
  // Two rows of each table were added since, and two deleted.
  expect(status.totals.added).toBeGreaterThanOrEqual(6);
  expect(status.totals.deleted).toBeGreaterThanOrEqual(6);
  await expectTruth();

  // Twice in a row, one of them of the state before the first restore.
  await restoreDatabase(services, commits[0]!.at);
  await restoreDatabase(services, commits[1]!.at);
  expect(await subject()).toBe('step 1');
  const [current] = await listVersions(services);
  expect(current).toMatchObject({ kind: 'current', restoredFrom: commits[1]!.at.toISOString() });
  await harness.sync();
  await expectTruth();

  expect(await restoreDatabase(services, new Date())).toMatchObject({ isUnchanged: true });
  const error = await restoreDatabase(services, new Date(0)).catch((fault: unknown) => fault);
  expect(error).toBeInstanceOf(ConfigurationError);
  const oldest = (await listVersions(services)).at(-1)!.committedAt.toISOString();
  expect(error).toMatchObject({ hint: expect.stringContaining(`The oldest one is from ${oldest}.`) });
});

it('is brought up to date with expired tokens, and without the lists that were deleted since', async () => {
  const { harness, services, commits, expectTruth } = await mirror(2);
  await restoreDatabase(services, commits[0]!.at);
  const { work } = harness.services;
  for (const folder of paths.digestFolders) await work.deletePrefix(folder);
  harness.restarted();
  // For each request: the planning meets it, and then the queue.
  dataverse.faults.add({ kind: 'expired-token', match: /deltatoken/, rate: 1 });
  const status = await harness.sync();
  expect(status).toMatchObject({ phase: 'complete', totals: { failed: 0 } });
  expect(status.entities.find(({ name }) => name === 'account')!.reason).toMatch(/expired/);
  await expectTruth();
});

it('in the middle of a run: refused, and without that check the next run still equals the truth', async () => {
  const { harness, services, commits, change, expectTruth, subject } = await mirror(2);
  // As in a race with the start of the run: the run is not seen.
  const blind = { ...services, work: { ...services.work, read: async () => undefined } };
  const phases = new Set<string>();
  // The run is planned; one of the two tables in the queue is fetched; both are; the first round is merged.
  for (const messages of sampleOf([0, 1, 2, 3], 2)) {
    change(2 + messages);
    // The planning has read the others. Leads are compared in each run.
    const { runId } = await harness.start({ reread: ['new_shipmentline'] });
    for (let n = 0; n < messages; n++) await harness.deliver();
    expect(harness.waiting).toBe(messages === 0 ? 2 : 1);
    expect((await harness.services.documents.merged(runId, 1)) !== undefined).toBe(messages === 3);
    const before = await subject();
    const error = await restoreDatabase(services, commits[0]!.at).catch((fault: unknown) => fault);
    expect(error).toBeInstanceOf(ConflictError);
    expect(error).toMatchObject({ message: `Run ${runId} is live. Nothing was restored.` });
    expect(await subject()).toBe(before);

    await restoreDatabase(blind as typeof services, commits[0]!.at);
    await harness.drain();
    phases.add((await harness.services.documents.run(runId))!.phase!);
    await harness.sync();
    await expectTruth();
  }
  // What such a run has read begins after what the mirror has.
  expect(phases).toContain('failed');
  await harness.services.work.putText(paths.active, 'damaged', 'text/plain');
  await expect(restoreDatabase(services, commits[1]!.at)).rejects.toThrow('Run damaged is live.');
});

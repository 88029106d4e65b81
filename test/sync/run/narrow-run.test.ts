import { afterEach, describe, expect, it } from 'vitest';
import { paths } from '../../../src/sync/documents/paths.ts';
import { cleanUp } from '../../../src/sync/run/clean-up.ts';
import { endRun } from '../../../src/sync/run/end-run.ts';
import { lastSuccess } from '../../../src/sync/run/last-success.ts';
import { syncStatus } from '../../../src/sync/run/run-status.ts';
import { Organisation } from '../organisation.ts';
import { dropTable } from '../schema-drift.ts';

let org: Organisation;
afterEach(() => org.stop());

const forbidden = { kind: 'error', status: 403, code: '0x80040220', message: 'No.', times: 1_000 } as const;

const stateOf = async (name: string) => (await org.harness.services.mirror.lastState())!.entities[name];
const namesOf = ({ entities }: { entities: readonly { name: string }[] }) =>
  entities.map(({ name }) => name).sort();

describe('a run of some tables', () => {
  it('reads these, and leaves the rows and the cursors of all others', async () => {
    org = await Organisation.start(['account', 'contact', 'lead']);
    org.rows('account', 3);
    org.rows('lead', 3);
    await org.sync();
    const [leads, before] = [await org.ids('lead'), await stateOf('lead')];
    org.rows('account', 2);
    org.rows('lead', 2);

    const status = await org.sync({ tables: ['account'] });
    expect(status).toMatchObject({ tables: ['account'], totals: { added: 2 } });
    expect(namesOf(status)).toEqual(['account']);
    await org.expectMirror('account');
    expect(await org.ids('lead')).toEqual(leads);
    expect(await stateOf('lead')).toEqual(before);
    // The age of the mirror is that of the table that is furthest behind.
    expect(status.quality?.oldestSync).toBe(before!.syncedAt);

    expect((await org.sync()).totals).toMatchObject({ added: 2 });
    await org.expectMirror('account', 'lead');
    await org.expectIdle();
  });

  it('brings the filtered tables along to which its tables lead, and no others', async () => {
    const filtered = ['contact', 'systemuser', 'new_campaign'].map((name) => ({ name, filtered: true }));
    org = await Organisation.start(['account', 'lead', ...filtered]);
    const [contact] = org.rows('contact', 1);
    org.rows('account', 1, () => ({}));
    await org.sync();
    expect(await org.ids('contact')).toEqual([]);
    const account = org.rows('account', 1, () => ({
      _primarycontactid_value: { table: 'contact', id: contact! },
    }))[0]!;

    const status = await org.sync({ tables: ['account'] });
    // Accounts and contacts refer to users. No chain of references leads to campaigns.
    expect(namesOf(status)).toEqual(['account', 'contact', 'systemuser']);
    expect(await org.ids('contact')).toEqual([contact]);
    // A row that nothing refers to any more goes as well.
    org.store.update('account', account, { _primarycontactid_value: null });
    await org.sync({ tables: ['account'], allowMassDelete: ['contact'] });
    expect(await org.ids('contact')).toEqual([]);
    await org.expectIdle();
  });

  it('leaves it to the next run of all tables what a table needed that left entities.json', async () => {
    const filtered = ['contact', 'systemuser'].map((name) => ({ name, filtered: true }));
    org = await Organisation.start(['account', 'new_box', ...filtered]);
    const [id] = org.rows('contact', 1);
    org.rows('account', 1, () => ({ _primarycontactid_value: { table: 'contact', id: id! } }));
    await org.sync();
    org.harness.configure(['new_box', ...filtered]);
    // It leads to users, and not to contacts.
    expect(namesOf(await org.sync({ tables: ['new_box'] }))).toEqual(['new_box', 'systemuser']);
    expect(await org.ids('contact')).toEqual([id]);
    await org.sync({ allowMassDelete: ['contact'] });
    expect(await org.ids('contact')).toEqual([]);
  });

  it('says in _sync_log which tables it covered', async () => {
    org = await Organisation.start(['account', 'contact', 'lead']);
    await org.sync();
    org.rows('account', 1);
    const { runId } = await org.sync({ tables: ['account', 'lead'] });
    const log = await org.query(`SELECT entity, reason FROM _sync_log WHERE run_id = '${runId}' ORDER BY 1`);
    expect(log).toEqual([
      { entity: '*', reason: '1 table without changes: lead' },
      { entity: 'account', reason: expect.any(String) },
    ]);
  });

  it('does not fail for a table outside of it', async () => {
    org = await Organisation.start(['account', 'lead']);
    await org.sync();
    org.dataverse.faults.add({ ...forbidden, match: /\/leads/ });
    org.rows('account', 1);
    expect((await org.sync({ tables: ['account'] })).totals).toMatchObject({ added: 1, failed: 0 });
  });

  it('leaves what an earlier run was asked to read again to the next run of all tables', async () => {
    org = await Organisation.start(['account', 'contact']);
    await org.sync();
    const { services } = org.harness;
    const { runId } = await org.harness.startUnplanned({ reread: ['contact'] });
    await endRun(services, runId, 'failed');
    await org.sync({ tables: ['account'], trigger: 'changes' });
    expect(await services.work.exists(paths.keptReread)).toBe(true);
    const { entities } = await org.sync({ trigger: 'timer' });
    expect(entities.find(({ name }) => name === 'contact')).toMatchObject({ reread: 'on request' });
  });

  it('takes no requests for other tables while it is live', async () => {
    org = await Organisation.start(['account', 'contact']);
    await org.sync();
    await org.harness.start({ tables: ['account'], reread: ['account'] });
    const asked = await org.harness.startUnplanned({ resume: true, reread: ['contact'] });
    expect(asked).toMatchObject({ outcome: 'live', tables: ['account'] });
    expect(asked.hint).toContain('some tables alone');
    await org.harness.drain();
  });

  it('stays narrow when its start died before it wrote run.json', async () => {
    org = await Organisation.start(['account', 'contact']);
    await org.sync();
    const { work } = org.harness.services;
    const { createIfAbsent } = work;
    org.clock.now += 1_000;
    work.createIfAbsent = () => Promise.reject(new Error('killed'));
    await expect(org.harness.startUnplanned({ tables: ['account'] })).rejects.toThrow('killed');
    work.createIfAbsent = createIfAbsent;
    expect(await org.harness.start({ resume: true })).toMatchObject({ outcome: 'resumed' });
    await org.harness.drain();
    const [run] = (await syncStatus(org.harness.services)).runs;
    expect(run).toMatchObject({ phase: 'complete', tables: ['account'] });
    expect(namesOf(run!)).toEqual(['account']);
  });

  it('stays narrow when another program deletes its run.json before it is planned', async () => {
    org = await Organisation.start(['account', 'contact']);
    await org.sync();
    org.clock.now += 60_000;
    const { runId } = await org.harness.startUnplanned({ tables: ['account'] });
    await org.harness.services.work.deletePrefix(paths.run(runId));
    await org.harness.drain();
    const [run] = (await syncStatus(org.harness.services)).runs;
    expect(run).toMatchObject({ runId, phase: 'complete', trigger: 'http', tables: ['account'] });
    expect(namesOf(run!)).toEqual(['account']);
  });

  it('tells whoever asked for a table that vanished from Dataverse', async () => {
    org = await Organisation.start(['account', 'new_box']);
    org.rows('new_box', 2);
    await org.sync();
    dropTable(org.store, 'new_box');
    org.store.schemaChanged();
    const status = await org.sync({ tables: ['new_box'] });
    expect(status.entities).toMatchObject([
      { name: 'new_box', state: 'failed', error: 'Dataverse no longer has the table new_box.' },
    ]);
    expect(await org.query('SELECT count(*) AS rows FROM new_boxes')).toEqual([{ rows: 2 }]);
    expect((await org.sync()).totals).toMatchObject({ failed: 0 });
  });

  it('does not count as one of the runs after which all keys are compared', async () => {
    org = await Organisation.start([{ name: 'lead', reconcileEvery: 3 }]);
    const [first] = org.rows('lead', 5);
    await org.sync();
    org.store.delete('lead', first!);
    for (let n = 0; n < 4; n++) await org.sync({ tables: ['lead'] });
    expect(await org.ids('lead')).toHaveLength(5);
    await org.sync();
    await org.sync({ tables: ['lead'] });
    expect(await org.ids('lead')).toHaveLength(5);
    for (let n = 0; n < 2; n++) await org.sync();
    expect(await org.ids('lead')).toHaveLength(4);
  });

  it('is no success of all tables, and displaces no reports of runs of all tables', async () => {
    org = await Organisation.start(['account', 'contact'], {}, { SYNC_KEEP_RUNS: '5' });
    const { services } = org.harness;
    await org.sync({ tables: ['account'] });
    expect(await lastSuccess(services)).toBeUndefined();
    const { runId, finishedAt } = await org.sync();
    for (let n = 0; n < 12; n++) await org.sync({ tables: ['account'], trigger: 'changes' });
    await cleanUp(services);
    expect(await lastSuccess(services)).toBe(finishedAt);
    expect(await services.work.exists(paths.run(runId))).toBe(true);
  });
});

describe('what is told of a run of some tables', () => {
  it('is told apart in events, and the age of the mirror is left to runs of all tables', async () => {
    org = await Organisation.start(['account', 'contact']);
    await org.sync();
    const events: { name: string; table?: string; tables?: string | undefined }[] = [];
    org.harness.services.telemetry.event = (name, properties) => void events.push({ name, ...properties });
    org.clock.now += 2 * 86_400_000;
    org.dataverse.faults.add({ ...forbidden, match: /\/accounts/ });
    await org.sync({ tables: ['account'] });
    const told = () => events.filter(({ name }) => /TableFailed|MirrorStale/.test(name));
    expect(told()).toMatchObject([{ name: 'TableFailed', table: 'account', tables: 'account' }]);
    events.length = 0;
    await org.sync();
    expect(told()).toMatchObject([
      { name: 'TableFailed', table: 'account', tables: undefined },
      { name: 'MirrorStale', table: 'account' },
    ]);
  });

  it('leaves the latest runs of all tables in the overview', async () => {
    org = await Organisation.start(['account', 'contact'], {}, { SYNC_KEEP_RUNS: '60' });
    for (let n = 0; n < 12; n++) await org.sync();
    for (let n = 0; n < 25; n++) await org.sync({ tables: ['account'] });
    const { runs } = await syncStatus(org.harness.services);
    expect(runs.map(({ tables }) => tables?.join() ?? 'all')).toEqual([
      ...new Array<string>(20).fill('account'),
      ...new Array<string>(10).fill('all'),
    ]);
    expect(runs.map(({ runId }) => runId)).toEqual([...runs.map(({ runId }) => runId)].sort().reverse());
  });
});

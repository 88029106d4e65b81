import { afterEach, describe, expect, it } from 'vitest';
import { ConflictError, RetriableError } from '../../../src/errors.ts';
import { mergeRound } from '../../../src/sync/merge/merge-round.ts';
import { runStatus } from '../../../src/sync/run/run-status.ts';
import { verify } from '../../../src/sync/run/verify.ts';
import { SqliteMirror } from '../../../src/target/sqlite/sqlite-mirror.ts';
import { Organisation, reportOf } from '../organisation.ts';
import { countOf, failCommit, fileOf, killed, query, tablesOf } from './databases.ts';

let org: Organisation;
afterEach(() => org.stop());

const inSales = (name: string, options: object = {}) => ({ name, database: 'sales', ...options });
const account = (id: string) => ({ id, table: 'account' });

describe('several databases', () => {
  it('have their tables, and stay as they are without changes', async () => {
    org = await Organisation.start(['account', inSales('contact'), inSales('lead')]);
    const [one] = org.rows('account', 3) as [string];
    org.rows('contact', 4, () => ({ _parentcustomerid_value: account(one) }));
    org.rows('lead', 5);
    const status = await org.sync();
    expect(status.totals).toMatchObject({ added: 12, failed: 0 });
    expect(await tablesOf(org)).toEqual(['accounts']);
    expect(await tablesOf(org, 'sales')).toEqual(['contacts', 'leads']);
    expect(status.database!.bytes).toBe(
      (await org.harness.databaseBytes()).length + (await org.harness.databaseBytes('sales')).length,
    );
    const etags = await org.harness.etags(undefined, 'sales');
    expect(status.databases).toEqual({
      dataverse: { bytes: (await org.harness.databaseBytes()).length, etag: etags[0], tables: 1 },
      sales: { bytes: (await org.harness.databaseBytes('sales')).length, etag: etags[1], tables: 2 },
    });
    const idle = await org.sync();
    expect(idle.totals).toMatchObject({ added: 0, updated: 0, deleted: 0, failed: 0 });
    expect(await org.harness.etags(undefined, 'sales')).toEqual(etags);
  });

  it('cost an idle run one request each', async () => {
    org = await Organisation.start(['account', inSales('contact')]);
    org.rows('contact', 4);
    await org.sync();
    const sales = fileOf(org, 'sales');
    const { currentEtag } = sales;
    let requests = 0;
    sales.currentEtag = () => {
      requests += 1;
      return currentEtag.call(sales);
    };
    sales.open = () => Promise.reject(new Error('An idle run needs its ETag alone.'));
    const status = await org.sync({ trigger: 'timer' });
    expect(status.totals).toMatchObject({ added: 0, failed: 0 });
    expect(requests).toBe(1);
  });

  it('are opened and committed only if a table of theirs changed', async () => {
    org = await Organisation.start(['account', inSales('contact')]);
    org.rows('account', 3);
    const [first] = org.rows('contact', 3) as [string];
    await org.sync();
    for (const [changed, other] of [
      [undefined, 'sales'],
      ['sales', undefined],
    ] as const) {
      if (changed === undefined) org.store.create('account', {});
      else org.store.update('contact', first, { firstname: 'renamed' });
      const before = await org.harness.etags(changed, other);
      org.harness.restarted();
      const file = fileOf(org, other);
      const { open } = file;
      file.open = () => Promise.reject(new Error('It is not to be opened.'));
      const status = await org.sync();
      file.open = open;
      expect(status.totals).toMatchObject({ failed: 0 });
      const after = await org.harness.etags(changed, other);
      expect([after[0] !== before[0], after[1]]).toEqual([true, before[1]]);
    }
    expect(await countOf(org, undefined, 'accounts')).toBe(4);
    expect(
      await query(org, 'sales', "SELECT count(*) AS n FROM contacts WHERE firstname = 'renamed'"),
    ).toEqual([{ n: 1 }]);
  });

  it.each([
    ['default one first', ['account', inSales('contact')]],
    ['default one last', [inSales('contact'), 'account']],
  ])('have the round and its figures if a process dies between their commits: %s', async (_, entities) => {
    org = await Organisation.start(entities);
    org.rows('account', 3);
    const contacts = org.rows('contact', 4) as [string, string];
    await org.sync();
    for (const after of [false, true]) {
      for (const name of [undefined, 'sales']) {
        org.store.create('account', {});
        org.store.create('contact', {});
        org.store.update('contact', contacts[1], { firstname: `${name} ${after}` });
        org.clock.now += 60_000;
        const { runId } = await org.harness.start();
        failCommit(org, name, killed, { after });
        org.harness.onFailure = () => org.harness.restarted();
        await org.harness.drain();
        const status = await runStatus(org.harness.services, runId);
        expect(status).toMatchObject({ phase: 'complete', totals: { added: 2, updated: 1, failed: 0 } });
      }
    }
    expect(await countOf(org, undefined, 'accounts')).toBe(7);
    expect(await countOf(org, 'sales', 'contacts')).toBe(8);
    const before = await org.harness.etags(undefined, 'sales');
    expect((await org.sync()).totals).toMatchObject({ added: 0, updated: 0, deleted: 0, failed: 0 });
    expect(await org.harness.etags(undefined, 'sales')).toEqual(before);
  });

  it('keep the cursors of idle runs where another database was committed and the process died', async () => {
    org = await Organisation.start(['account', inSales('contact'), inSales('lead')]);
    org.rows('account', 3);
    org.rows('contact', 3);
    await org.sync();
    // Its cursors are in state.json alone.
    await org.sync();
    org.store.create('account', {});
    org.store.create('lead', {});
    org.clock.now += 60_000;
    const { runId } = await org.harness.start();
    failCommit(org, undefined, killed, { after: true });
    org.harness.onFailure = () => org.harness.restarted();
    await org.harness.drain();
    const status = await runStatus(org.harness.services, runId);
    expect(status).toMatchObject({ phase: 'complete', totals: { added: 2, failed: 0 } });
    await org.sync();
    expect((await org.sync()).totals).toMatchObject({ added: 0, updated: 0, failed: 0 });
  });

  it.each([
    ['storage is busy', () => new RetriableError('busy')],
    ['another writer is first', () => new ConflictError('not first')],
  ])('have the round if the commit of the second one fails: %s', async (_, error) => {
    org = await Organisation.start(['account', inSales('contact')]);
    org.rows('account', 3);
    org.rows('contact', 4);
    const { runId } = await org.harness.start();
    failCommit(org, 'sales', error);
    await org.harness.drain();
    expect(await runStatus(org.harness.services, runId)).toMatchObject({
      phase: 'complete',
      totals: { added: 7, failed: 0 },
    });
    expect([await countOf(org, undefined, 'accounts'), await countOf(org, 'sales', 'contacts')]).toEqual([
      3, 4,
    ]);
  });

  it('have the round once if two processes merge it at the same time', async () => {
    org = await Organisation.start(['account', inSales('contact'), { name: 'lead', database: 'service' }]);
    org.rows('account', 3);
    org.rows('contact', 4);
    org.rows('lead', 5);
    const { runId } = await org.harness.start();
    const { services } = org.harness;
    // Each reads what it is to merge before one of them commits.
    await Promise.all([1, 2, 3].map(() => mergeRound(services, { runId, round: 1 }).catch(() => undefined)));
    await org.harness.drain();
    expect(await runStatus(services, runId)).toMatchObject({ phase: 'complete', totals: { added: 12 } });
    expect(
      await Promise.all([
        countOf(org, undefined, 'accounts'),
        countOf(org, 'sales', 'contacts'),
        countOf(org, 'service', 'leads'),
      ]),
    ).toEqual([3, 4, 5]);
    expect((await org.sync()).totals).toMatchObject({ added: 0, updated: 0, failed: 0 });
  });

  it('decide about their own tables after one of them was replaced by an earlier state', async () => {
    org = await Organisation.start(['account', inSales('contact')]);
    org.rows('account', 3);
    org.rows('contact', 3);
    await org.sync();
    const earlier = await org.harness.databaseBytes('sales');
    org.store.create('account', {});
    org.store.create('contact', {});
    await org.sync();
    const before = await org.harness.etags(undefined);
    await org.harness.services.published.putBytes('sales.db', earlier);
    const status = await org.sync();
    expect(status.totals).toMatchObject({ added: 1, failed: 0 });
    expect(reportOf(status, 'contact')).toMatchObject({ added: 1, strategy: 'delta' });
    expect(await countOf(org, 'sales', 'contacts')).toBe(4);
    expect(await org.harness.etags(undefined)).toEqual(before);
  });

  it('are found again when state.json is lost, also if no table is in the default one', async () => {
    org = await Organisation.start([inSales('contact'), { name: 'lead', database: 'service' }]);
    org.rows('contact', 3);
    org.rows('lead', 3);
    await org.sync();
    expect(await org.harness.etags(undefined)).toEqual([undefined]);
    await org.harness.services.published.deletePrefix('state');
    org.harness.restarted();
    org.store.create('lead', {});
    expect((await org.sync()).totals).toMatchObject({ added: 1, updated: 0, deleted: 0, failed: 0 });
    const before = await org.harness.etags('sales', 'service');
    expect((await org.sync()).totals).toMatchObject({ added: 0, failed: 0 });
    expect(await org.harness.etags('sales', 'service')).toEqual(before);
  });

  it('are read anew, those that have another name now', async () => {
    org = await Organisation.start(['account', inSales('contact')]);
    org.rows('account', 3);
    org.rows('contact', 3);
    await org.sync();
    const { services, storage } = org.harness;
    const { databaseMaxBytes: maxBytes, cacheBytes, checkHours } = services.settings.sync;
    services.mirror = new SqliteMirror({
      sqlite: services.sqlite,
      file: storage.namedFile('mirror'),
      named: { defaultName: 'mirror', fileOf: storage.namedFile },
      documents: services.published,
      ...{ maxBytes, cacheBytes, checkHours, telemetry: services.telemetry },
    });
    const status = await org.sync();
    expect(status.totals).toMatchObject({ failed: 0 });
    expect(reportOf(status, 'account')).toMatchObject({ added: 3 });
    expect(reportOf(status, 'contact')).toMatchObject({ added: 0, updated: 0 });
    expect(await countOf(org, 'mirror', 'accounts')).toBe(3);
    expect((await org.sync()).totals).toMatchObject({ added: 0, updated: 0, failed: 0 });
  });

  it('are read anew if one of them was deleted', async () => {
    org = await Organisation.start(['account', inSales('contact')]);
    org.rows('account', 3);
    org.rows('contact', 3);
    await org.sync();
    const before = await org.harness.etags(undefined);
    await org.harness.services.published.deletePrefix('sales.db');
    expect((await org.sync()).totals).toMatchObject({ added: 3, failed: 0 });
    expect(await org.harness.etags(undefined)).toEqual(before);
    expect(await countOf(org, 'sales', 'contacts')).toBe(3);
  });

  it('fail a run if one of them is replaced by an earlier state in the middle of it', async () => {
    org = await Organisation.start(['account', inSales('contact')]);
    org.rows('contact', 3);
    await org.sync();
    const earlier = await org.harness.databaseBytes('sales');
    org.store.create('contact', {});
    await org.sync();
    org.store.create('contact', {});
    org.clock.now += 60_000;
    const { runId } = await org.harness.start();
    await org.harness.services.published.putBytes('sales.db', earlier);
    await org.harness.drain();
    expect(await runStatus(org.harness.services, runId)).toMatchObject({
      phase: 'failed',
      error: expect.stringContaining('was replaced while this run'),
    });
    await org.sync();
    expect(await countOf(org, 'sales', 'contacts')).toBe(5);
  });

  it('are each told of when they are near the limit', async () => {
    org = await Organisation.start(['account', inSales('contact')]);
    org.rows('contact', 400);
    const { services } = org.harness;
    const events: unknown[] = [];
    services.telemetry.event = (name, properties, figures) => {
      if (name === 'DatabaseNearLimit') events.push({ ...properties, ...figures });
    };
    await org.sync();
    const [bytes, small] = [
      (await org.harness.databaseBytes('sales')).length,
      (await org.harness.databaseBytes()).length,
    ];
    expect(small).toBeLessThan(0.8 * bytes);
    expect(events).toEqual([]);
    services.settings.sync.databaseMaxBytes = Math.round(bytes * 1.1);
    const { runId } = await org.sync();
    expect(events).toEqual([
      { runId, database: 'sales', databaseBytes: bytes, databaseMaxBytes: Math.round(bytes * 1.1) },
    ]);
  });

  it('have history, labels, marks and their own log', async () => {
    org = await Organisation.start(['account', inSales('contact', { history: true }), inSales('lead')]);
    const [id] = org.rows('contact', 2, () => ({ firstname: 'first' })) as [string];
    org.rows('account', 1);
    await org.sync();
    org.store.update('contact', id, { firstname: 'second' });
    org.store.create('account', {});
    await org.sync();
    expect(await countOf(org, 'sales', 'contacts_history')).toBe(3);
    expect(await countOf(org, 'sales', 'contacts_labelled')).toBe(2);
    expect(await countOf(org, 'sales', '_choices')).toBeGreaterThan(0);
    const entities = async (name?: string) =>
      (await query(org, name, "SELECT DISTINCT entity FROM _sync_log WHERE entity <> '*' ORDER BY 1")).map(
        ({ entity }) => entity,
      );
    expect(await entities()).toEqual(['account']);
    expect(await entities('sales')).toEqual(['contact']);
    const states = await query(org, 'sales', 'SELECT entity FROM _sync_state ORDER BY 1');
    expect(states.map(({ entity }) => entity)).toEqual(['contact', 'lead']);
  });

  it('lose a table that is not configured any more, on request', async () => {
    org = await Organisation.start(['account', inSales('contact'), inSales('lead')]);
    org.rows('contact', 2);
    org.rows('lead', 2);
    await org.sync();
    org.harness.configure(['account']);
    const status = await org.sync();
    expect(status.databases!['sales']).toMatchObject({ tables: 0 });
    expect(await countOf(org, 'sales', 'contacts')).toBe(2);
    await org.sync({ dropTables: ['contact'] });
    expect(await tablesOf(org, 'sales')).toEqual(['leads']);
  });

  it('count dangling references within each of them', async () => {
    org = await Organisation.start(['account', inSales('contact'), inSales('lead')]);
    const [parent, other] = org.rows('account', 2) as [string, string];
    org.rows('account', 1, () => ({ _parentaccountid_value: account(parent) }));
    org.rows('contact', 1, () => ({ _parentcustomerid_value: account(other) }));
    expect((await org.sync()).danglingReferences).toBe(0);
    // Two rows that the mirror cannot have any more. Only one of them is referred to within a database.
    const accounts = org.store.rowsOf(org.store.table('account'));
    for (const id of [parent, other]) accounts.remove(id);
    org.store.create('account', {});
    await org.sync({ reread: 'all', allowMassDelete: ['account'] });
    org.store.create('contact', {});
    const status = await org.sync();
    const report = await verify(org.harness.services);
    expect(report).toMatchObject({ tables: 3, danglingReferences: 1 });
    expect(report!.foreignKeys![0]).toMatchObject({ table: 'accounts', targets: ['accounts'] });
    expect(status.danglingReferences).toBe(1);
  });
});

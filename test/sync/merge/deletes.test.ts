import { afterEach, describe, expect, it } from 'vitest';
import { Organisation, reportOf } from '../organisation.ts';

let org: Organisation;
afterEach(() => org.stop());

/** A table for each strategy that reads whole tables, chosen by the metadata or configured. */
const tables = [
  ['delta', 'account', {}],
  ['modifiedon', 'lead', {}],
  ['full', 'new_shipmentline', {}],
  ['modifiedon', 'account', { strategy: 'modifiedon' }],
  ['full', 'lead', { strategy: 'full' }],
] as const;

describe('deletes', () => {
  it.each(tables)('reach the mirror by %s (%s)', async (strategy, name, options) => {
    org = await Organisation.start([{ name, ...options }]);
    const ids = org.rows(name, 6);
    // Deleted before the first read, so it is never reported.
    org.store.delete(name, ids[5]!);
    expect(reportOf(await org.sync(), name)).toMatchObject({ strategy, added: 5, deleted: 0 });
    org.store.delete(name, ids[0]!);
    expect(reportOf(await org.sync(), name).deleted).toBe(1);
    await org.expectMirror(name);
    expect(await org.query('SELECT id FROM _sync_deleted')).toEqual([{ id: ids[0] }]);
    await org.expectIdle();
    org.store.create(name, { [org.store.table(name).primaryId]: ids[0]! });
    expect(reportOf(await org.sync(), name).added).toBe(1);
    await org.expectMirror(name);
    expect(await org.query('SELECT id FROM _sync_deleted')).toEqual([]);
  });

  it.each(tables)('are marked with deletes: mark, by %s (%s)', async (_, name, options) => {
    org = await Organisation.start([{ name, deletes: 'mark', history: true, ...options }]);
    const ids = org.rows(name, 3);
    const key = org.store.table(name).primaryId;
    const set = org.store.table(name).entitySetName;
    await org.sync();
    org.store.delete(name, ids[1]!);
    expect(reportOf(await org.sync(), name)).toMatchObject({ deleted: 1, unchanged: 2 });
    const marked = `SELECT ${key} AS id FROM ${set} WHERE _deleted_at IS NOT NULL`;
    expect(await org.query(marked)).toEqual([{ id: ids[1] }]);
    expect(await org.query(`SELECT count(*) AS n FROM ${set}_history WHERE valid_to IS NOT NULL`)).toEqual([
      { n: 1 },
    ]);
    await org.expectMirror(name);
    await org.expectIdle();
    org.store.create(name, { [key]: ids[1]! });
    await org.sync();
    expect(await org.query(marked)).toEqual([]);
    await org.expectMirror(name);
  });

  it('between the rows and the keys of one run leave no version that was valid for no time', async () => {
    org = await Organisation.start([{ name: 'lead', history: true }]);
    const [changed] = org.rows('lead', 2, () => ({ subject: 'before' })) as [string];
    await org.sync();
    org.clock.now += 600_000;
    org.store.update('lead', changed, { subject: 'changed' });
    const created = org.store.create('lead', { subject: 'created' });
    const { services } = org.harness;
    const { dataverse } = services;
    services.dataverse = {
      ...dataverse,
      // Both are deleted after their page was read.
      readPages: async function* (query, options) {
        for await (const page of dataverse.readPages(query, options)) {
          if (query.filter !== undefined) {
            for (const id of [changed, created]) org.store.delete('lead', id);
          }
          yield page;
        }
      },
    };
    expect(reportOf(await org.sync(), 'lead').deleted).toBe(2);
    services.dataverse = dataverse;
    await org.expectSound();
    expect(
      await org.query(`SELECT leadid AS id, subject, valid_to > valid_from AS lasted FROM leads_history
        WHERE valid_to IS NOT NULL`),
    ).toEqual([{ id: changed, subject: 'before', lasted: 1 }]);
  });

  it('remove marked rows once deletes: mark is given up', async () => {
    org = await Organisation.start([{ name: 'account', deletes: 'mark' }]);
    const ids = org.rows('account', 3);
    await org.sync();
    org.store.delete('account', ids[0]!);
    await org.sync();
    expect(await org.ids('account')).toHaveLength(3);
    org.harness.configure(['account']);
    await org.sync();
    expect(await org.ids('account')).toEqual(ids.slice(1).sort());
    await org.expectIdle();
  });

  it.each(['remove', 'mark'] as const)(
    'are found by the new first read after a token expired (%s)',
    async (deletes) => {
      org = await Organisation.start([{ name: 'account', deletes }]);
      const ids = org.rows('account', 5);
      await org.sync();
      org.store.delete('account', ids[2]!);
      org.clock.now += 8 * 86_400_000;
      const report = reportOf(await org.sync(), 'account');
      expect(report).toMatchObject({ strategy: 'delta', deleted: 1 });
      expect(report.reason).toMatch(/expired/);
      await org.expectMirror('account');
      await org.expectIdle();
    },
  );

  it('of N:N rows are found whether both tables or one are tracked', async () => {
    org = await Organisation.start([
      'account',
      'lead',
      'new_campaign',
      'accountleads',
      'new_account_new_campaign',
    ]);
    const accounts = org.rows('account', 2);
    const leads = org.rows('lead', 2);
    const campaigns = org.rows('new_campaign', 2);
    for (const [n, id] of accounts.entries()) {
      org.store.associate('accountleads', id, leads[n]!);
      org.store.associate('new_account_new_campaign', id, campaigns[n]!);
    }
    const first = await org.sync();
    expect(reportOf(first, 'accountleads').strategy).toBe('full');
    expect(reportOf(first, 'new_account_new_campaign').strategy).toBe('delta');
    org.store.disassociate('accountleads', accounts[0]!, leads[0]!);
    org.store.disassociate('new_account_new_campaign', accounts[1]!, campaigns[1]!);
    const second = await org.sync();
    expect(reportOf(second, 'accountleads').deleted).toBe(1);
    expect(reportOf(second, 'new_account_new_campaign').deleted).toBe(1);
    await org.expectMirror('accountleads', 'new_account_new_campaign');
    await org.expectIdle();
  });

  it('in a delta that contains the row, too, are decided by reading the id again', async () => {
    org = await Organisation.start(['account'], {}, { DATAVERSE_PAGE_SIZE: '2', SYNC_SLICE_MB: '0.001' });
    const ids = org.rows('account', 6, (n) => ({ name: `account ${n}` }));
    await org.sync();
    for (const [n, id] of ids.entries()) org.store.update('account', id, { name: `changed ${n}` });
    const { services } = org.harness;
    const { dataverse } = services;
    let named = 0;
    services.dataverse = {
      ...dataverse,
      // The delta names each row as changed and, on the same page, as deleted.
      readPages: async function* (query, options) {
        for await (const page of dataverse.readPages(query, options)) {
          if (query.link === undefined) {
            yield page;
            continue;
          }
          const records = page.body.subarray(page.recordsStart, page.recordsEnd).toString();
          const gone = ids.filter((id) => records.includes(`"accountid":"${id}"`));
          named += gone.length;
          const tombstones = gone.map(
            (id) => `,{"@odata.context":"x#accounts/$deletedEntity","id":"${id}","reason":"deleted"}`,
          );
          const body = Buffer.from(records + tombstones.join(''));
          yield { ...page, body, recordsStart: 0, recordsEnd: body.length };
        }
      },
    };
    // One of them no longer exists when its id is read again.
    org.store.delete('account', ids[0]!);
    await org.sync();
    expect(named).toBe(5);
    services.dataverse = dataverse;
    await org.expectMirror('account');
    await org.sync();
    await org.expectIdle();
  });

  it('in a delta that contains the rows, too, are decided for more ids than fit in a batch', async () => {
    org = await Organisation.start(['new_shipmentline'], {}, { SYNC_MASS_DELETE_LIMIT: '1' });
    org.store.table('new_shipmentline').changeTracking = true;
    org.store.schemaChanged();
    const ids = org.rows('new_shipmentline', 5100);
    expect(reportOf(await org.sync(), 'new_shipmentline')).toMatchObject({ strategy: 'delta', added: 5100 });
    for (const id of ids) org.store.update('new_shipmentline', id, {});
    for (const id of ids) org.store.delete('new_shipmentline', id);
    const { services } = org.harness;
    const { dataverse } = services;
    services.dataverse = {
      ...dataverse,
      // The delta names the deleted rows as changed, too.
      readPages: async function* (query, options) {
        for await (const page of dataverse.readPages(query, options)) {
          const tombstones = page.body.subarray(page.recordsStart, page.recordsEnd).toString();
          const named = ids.filter((id) => tombstones.includes(id));
          const rows = named.map((id) => `{"new_shipmentlineid":"${id}","@odata.etag":"W/\\"1\\""},`);
          const body = Buffer.from(rows.join('') + tombstones);
          yield { ...page, body, recordsStart: 0, recordsEnd: body.length };
        }
      },
    };
    expect(reportOf(await org.sync(), 'new_shipmentline')).toMatchObject({
      strategy: 'delta',
      deleted: 5100,
    });
    expect(await org.ids('new_shipmentline')).toEqual([]);
  });

  it('beyond the limit can be allowed in the run after the comparison that found them', async () => {
    org = await Organisation.start([{ name: 'lead', reconcileEvery: 3 }]);
    const ids = org.rows('lead', 30);
    for (let run = 0; run < 3; run++) await org.sync();
    for (const id of ids.slice(0, 20)) org.store.delete('lead', id);
    expect(reportOf(await org.sync(), 'lead').error).toContain('20 of 30 rows');
    const allowed = await org.sync({ allowMassDelete: ['lead'] });
    expect(reportOf(allowed, 'lead')).toMatchObject({ deleted: 20 });
    await org.expectMirror('lead');
  });

  it.each(tables)('beyond the limit are held back and allowed once, by %s (%s)', async (_, name, options) => {
    org = await Organisation.start([{ name, ...options }]);
    const ids = org.rows(name, 30);
    await org.sync();
    for (const id of ids.slice(0, 20)) org.store.delete(name, id);
    org.store.update(name, ids[25]!, { [org.store.table(name).primaryName!]: 'still taken' });
    for (let run = 0; run < 2; run++) {
      const held = reportOf(await org.sync(), name);
      expect(held.deleted).toBe(0);
      expect(held.error).toMatch(/20 of 30 rows/);
      expect(held.hint).toContain(`"allowMassDelete": ["${name}"]`);
      expect(await org.ids(name)).toHaveLength(30);
    }
    expect(reportOf(await org.sync({ allowMassDelete: [name] }), name).deleted).toBe(20);
    await org.expectMirror(name);
    await org.expectIdle();
    // The permission was for one run.
    for (const id of (await org.ids(name)).slice(0, 8)) org.store.delete(name, id);
    expect(reportOf(await org.sync(), name).deleted).toBe(8);
  });
});

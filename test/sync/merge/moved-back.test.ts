import { afterEach, describe, expect, it } from 'vitest';
import { parseRows } from '../../../src/dataverse/client.ts';
import type { Backup } from '../../../src/local/sample-dataverse/index.ts';
import type { RunStatus } from '../../../src/sync/run/run-status.ts';
import { Organisation, reportOf } from '../organisation.ts';

let org: Organisation;
afterEach(() => org.stop());

const movedBack = /^Dataverse has moved back in time/;

/** The warnings of the log since the last call. */
function warnings(): string[] {
  return org.harness.log
    .splice(0)
    .filter(({ level }) => level !== 'info' && level !== 'debug')
    .map(({ message }) => message);
}

/** Every version in a history must begin before it ends, and the current ones must be the rows of the table. */
async function expectHistory(set: string, key: string): Promise<void> {
  expect(await org.query(`SELECT * FROM ${set}_history WHERE valid_from >= valid_to`)).toEqual([]);
  const current = `SELECT ${key}, versionnumber FROM ${set}_history WHERE valid_to IS NULL ORDER BY 1`;
  const rows = `SELECT ${key}, versionnumber FROM ${set} ORDER BY 1`;
  expect(await org.query(current)).toEqual(await org.query(rows));
}

interface Work {
  backup: Backup;
  ids: string[];
}

/** Forty rows, a backup, and then all kinds of changes, which the mirror sees. */
async function workAfterBackup(...tables: [table: string, column: string][]): Promise<Work> {
  const ids = tables.flatMap(([table, column]) => org.rows(table, 40, (n) => ({ [column]: `row ${n}` })));
  org.clock.now += 86_400_000;
  await org.sync();
  const backup = org.store.backup();
  org.clock.now += 3_600_000;
  for (const [at, [table, column]] of tables.entries()) {
    const own = ids.slice(at * 40, at * 40 + 40);
    org.store.update(table, own[3]!, { [column]: 'changed after the backup' });
    org.rows(table, 3, () => ({ [column]: 'made after the backup' }));
    org.store.delete(table, own[7]!);
    org.store.delete(table, own[8]!);
  }
  await org.sync();
  warnings();
  return { backup, ids };
}

async function expectRestored(status: RunStatus, ...tables: string[]): Promise<void> {
  await org.expectMirror(...tables);
  await org.expectSound();
  expect(warnings().filter((text) => movedBack.test(text))).toHaveLength(1);
  for (const table of tables) expect(reportOf(status, table).error).toBeUndefined();
}

const kinds: [name: string, table: string, column: string, key: string, options: object][] = [
  ['delta', 'account', 'name', 'accountid', {}],
  ['modifiedon with reconcileEvery 1', 'lead', 'subject', 'leadid', { reconcileEvery: 1 }],
  ['full', 'lead', 'subject', 'leadid', { strategy: 'full' }],
];

describe.each(kinds)('a restored environment, and a table read by %s', (_, table, column, key, options) => {
  it('is noticed, and the mirror equals the source in the same run', async () => {
    org = await Organisation.start([{ name: table, history: true, ...options }]);
    const { backup, ids } = await workAfterBackup([table, column]);
    org.store.restore(backup);
    const status = await org.sync();
    await expectRestored(status, table);
    const { entitySetName } = org.store.table(table);
    const rows = await org.query(`SELECT ${column} AS name FROM ${entitySetName} ORDER BY ${key}`);
    const names = Array.from({ length: 40 }, (_, n) => `row ${n}`);
    expect(rows.map(({ name }) => String(name)).sort()).toEqual(names.sort());
    expect(status.totals).toMatchObject({ added: 2, updated: 1, deleted: 3 });
    await expectHistory(entitySetName!, key);
    // Work goes on, with versions that the sync has seen on other rows.
    org.store.update(table, ids[5]!, { [column]: 'changed after the restore' });
    org.store.delete(table, ids[6]!);
    const next = await org.sync();
    expect(next.totals).toMatchObject({ added: 0, updated: 1, deleted: 1 });
    expect(reportOf(next, table).reread).toBeUndefined();
    await org.expectMirror(table);
    await expectHistory(entitySetName!, key);
    expect(warnings()).toEqual([]);
    await org.expectIdle();
  });
});

describe('a restored environment', () => {
  it('has every table read again, also one that shows no sign of it', async () => {
    const tables: [string, string][] = [
      ['account', 'name'],
      ['lead', 'subject'],
    ];
    const lead = { name: 'lead', reconcileEvery: 0, history: true };
    org = await Organisation.start(['account', lead], {}, { SYNC_VERIFY_HOURS: '0' });
    const { backup } = await workAfterBackup(...tables);
    org.store.restore(backup);
    const status = await org.sync();
    await expectRestored(status, 'account', 'lead');
    for (const table of ['account', 'lead']) {
      // The mirror never knew that leads were deleted: no sweep compared their keys.
      const added = table === 'lead' ? 0 : 2;
      expect(reportOf(status, table)).toMatchObject({ added, updated: 1, deleted: 3 });
      expect(reportOf(status, table).reread).toMatch(movedBack);
      expect(reportOf(status, table).reason).toMatch(/all rows are read again: Dataverse has moved back/);
    }
    await expectHistory('leads', 'leadid');
    await org.expectIdle();
    expect(warnings()).toEqual([]);
  });

  it('brings back rows of filtered tables, and removes those that nothing refers to any more', async () => {
    org = await Organisation.start(['contact', { name: 'account', filtered: true, history: true }]);
    const accounts = org.rows('account', 30, (n) => ({ name: `row ${n}` }));
    const refer = (n: number) => ({ _parentcustomerid_value: { id: accounts[n]!, table: 'account' } });
    const contacts = org.rows('contact', 25, refer);
    await org.sync();
    const backup = org.store.backup();
    org.store.update('account', accounts[1]!, { name: 'changed after the backup' });
    org.store.update('contact', contacts[2]!, refer(29));
    org.store.delete('account', accounts[3]!);
    org.store.delete('contact', contacts[4]!);
    await org.sync();
    warnings();
    org.store.restore(backup);
    await org.sync();
    const rows = await org.query('SELECT name FROM accounts');
    const names = Array.from({ length: 25 }, (_, n) => `row ${n}`);
    expect(rows.map(({ name }) => String(name)).sort()).toEqual(names.sort());
    await org.expectMirror('contact');
    await expectHistory('accounts', 'accountid');
    expect(warnings().filter((text) => movedBack.test(text))).toHaveLength(1);
    await org.expectIdle();
  });

  it('holds back a mass delete, says so, and deletes once that is allowed', async () => {
    org = await Organisation.start(['account', { name: 'lead', reconcileEvery: 0 }]);
    org.rows('account', 2);
    org.rows('lead', 30);
    await org.sync();
    const backup = org.store.backup();
    org.rows('lead', 50);
    org.rows('account', 1);
    await org.sync();
    org.store.restore(backup);
    const held = reportOf(await org.sync(), 'lead');
    expect(held.error).toMatch(/^50 of 80 rows would be deleted/);
    expect(held.hint).toMatch(/allowMassDelete/);
    expect(await org.ids('lead')).toHaveLength(80);
    await org.sync({ allowMassDelete: ['lead'] });
    await org.expectMirror('account', 'lead');
    await org.expectIdle();
  });

  it('is read again by the next run if this one dies before', async () => {
    org = await Organisation.start(['account', { name: 'lead', reconcileEvery: 0 }]);
    const { backup } = await workAfterBackup(['account', 'name'], ['lead', 'subject']);
    org.store.restore(backup);
    org.clock.now += 60_000;
    const { runId } = await org.harness.start();
    while ((await org.harness.services.documents.merged(runId, 1)) === undefined) await org.harness.deliver();
    await org.harness.services.work.deletePrefix('');
    org.harness.restarted();
    const status = await org.sync();
    expect(reportOf(status, 'lead').reread).toMatch(movedBack);
    await expectRestored(status, 'account', 'lead');
    await org.expectIdle();
  });

  it('is told of, also if the merge that noticed it dies before its report', async () => {
    org = await Organisation.start(['account', { name: 'lead', reconcileEvery: 0 }]);
    org.rows('account', 3);
    const [id] = org.rows('lead', 3, () => ({ subject: 'old' }));
    // A later row, so that the one that changes is not among those that each run reads.
    org.clock.now += 3_600_000;
    org.rows('lead', 1);
    await org.sync();
    const backup = org.store.backup();
    // Only the token of accounts tells, and no row changes by it: other tables took up the versions.
    org.rows('contact', 20);
    await org.sync();
    org.store.restore(backup);
    org.store.updateSilently('lead', id!, { subject: 'new' });
    warnings();
    const { databaseFile } = org.harness.storage;
    const { work } = org.harness.services;
    const { createIfAbsent } = work;
    const etag = await databaseFile.currentEtag();
    let kept: string | undefined;
    work.createIfAbsent = async (name, value) => {
      if (name.endsWith('/1/merged.json') && kept === undefined) {
        kept = await databaseFile.currentEtag();
        throw new Error('the process dies');
      }
      return createIfAbsent.call(work, name, value);
    };
    const status = await org.sync();
    // The first attempt saved the state alone.
    expect(kept).toBe(etag);
    expect(reportOf(status, 'lead')).toMatchObject({ updated: 1, reread: expect.stringMatching(movedBack) });
    expect(warnings().filter((text) => movedBack.test(text))).toHaveLength(1);
    await org.expectMirror('account', 'lead');
    await org.expectIdle();
  });

  it('does not stop at a table that cannot be read: that one is read again later', async () => {
    org = await Organisation.start(['account', { name: 'lead', reconcileEvery: 0 }]);
    const { backup } = await workAfterBackup(['account', 'name'], ['lead', 'subject']);
    org.store.restore(backup);
    org.store.deniedPrivileges.add('prvReadLead');
    expect(reportOf(await org.sync(), 'lead').state).toBe('failed');
    org.store.deniedPrivileges.clear();
    const status = await org.sync();
    await expectRestored(status, 'account', 'lead');
    // The table that was read again is not read a third time because another one was late.
    expect(reportOf(status, 'account').reread).toBeUndefined();
    await org.expectIdle();
  });

  // Without tokens, the strategy modifiedon or full takes over for a while.
  it.each(['modifiedon', 'full'])(
    'is noticed once, also by a table that is read by %s for a while',
    async (by) => {
      org = await Organisation.start(['account', 'contact'], {}, { SYNC_MASS_DELETE_LIMIT: '1' });
      const match = ({ path, query }: { path: string; query: string }): boolean =>
        by === 'full' && path.endsWith('/accounts') && /filter=modifiedon/.test(decodeURIComponent(query));
      org.dataverse.faults.add({ kind: 'error', status: 400, code: '0x80060888', match, times: 1000 });
      org.rows('account', 30);
      org.rows('contact', 3);
      await org.sync();
      const backup = org.store.backup();
      for (const id of await org.ids('account')) org.store.update('account', id, { name: 'new' });
      org.rows('contact', 50);
      await org.sync();
      org.store.withoutOrganizationRead.add('account');
      await org.sync();
      expect(reportOf(await org.sync(), 'account').strategy).toBe(by);
      org.store.restore(backup);
      org.clock.now += 3_600_000;
      warnings();
      await expectRestored(await org.sync(), 'account', 'contact');
      // Change tracking is tried again, and its token is of the restored environment.
      org.store.withoutOrganizationRead.clear();
      org.clock.now += 86_400_000;
      const status = await org.sync();
      expect(reportOf(status, 'account').strategy).toBe('delta');
      expect(warnings()).toEqual([]);
      expect(status.entities.map(({ reread }) => reread)).toEqual([undefined, undefined]);
      await org.expectMirror('account', 'contact');
      await org.expectIdle();
    },
  );

  it('compares versions beyond 2^53 exactly', async () => {
    org = await Organisation.start([{ name: 'lead', reconcileEvery: 1 }], { firstVersion: 2n ** 60n });
    const [id] = org.rows('lead', 5, () => ({ subject: 'old' }));
    const backup = org.store.backup();
    org.store.update('lead', id!, { subject: 'new' });
    await org.sync();
    warnings();
    org.store.restore(backup);
    const status = await org.sync();
    await expectRestored(status, 'lead');
    await org.expectIdle();
  });
});

it('another organisation at the same address has every table read again', async () => {
  org = await Organisation.start(['account', { name: 'lead', reconcileEvery: 0 }]);
  const [id] = org.rows('lead', 5, () => ({ subject: 'old' }));
  org.rows('account', 3);
  await org.sync();
  const whoAmI = org.dataverse.faults.add({ kind: 'error', match: ({ path }) => path.includes('WhoAmI') });
  await org.expectIdle();
  expect(whoAmI.hits).toBe(0);
  whoAmI.remove();
  warnings();
  org.store.updateSilently('lead', id!, { subject: 'of the other organisation' });
  org.store.organizationId = '99999999-0000-4000-8000-000000000001';
  org.store.schemaChanged();
  const status = await org.sync();
  expect(reportOf(status, 'lead')).toMatchObject({
    updated: 1,
    reread: expect.stringMatching(/organisation/),
  });
  expect(warnings()).toEqual([expect.stringMatching(/^Dataverse is the organisation 99999999.* All tables/)]);
  await org.expectMirror('account', 'lead');
  await org.expectIdle();
});

describe('another organisation, while a table is not configured', () => {
  const organization = '99999999-0000-4000-8000-000000000002';

  it.each([false, true])('has that read again once it is configured again (idle: %s)', async (isIdle) => {
    // Tables without rows bring nothing, so that the merge records an idle round.
    const lead = { name: 'lead', strategy: 'full' };
    org = await Organisation.start([lead, 'contact']);
    if (!isIdle) org.rows('lead', 2);
    const [id] = org.rows('contact', 3, () => ({ jobtitle: 'old' }));
    await org.sync();
    org.harness.configure([lead]);
    await org.sync();
    org.store.updateSilently('contact', id!, { jobtitle: 'of the other organisation' });
    org.store.organizationId = organization;
    org.store.schemaChanged();
    const { databaseFile } = org.harness.storage;
    const etag = await databaseFile.currentEtag();
    expect(reportOf(await org.sync(), 'lead').reread).toMatch(/organisation/);
    if (isIdle) expect(await databaseFile.currentEtag()).toBe(etag);
    org.harness.configure([lead, 'contact']);
    const back = reportOf(await org.sync(), 'contact');
    expect(back).toMatchObject({ rowsRead: 3, updated: 1, reread: expect.stringMatching(/organisation/) });
    await org.expectMirror('lead', 'contact');
    await org.expectIdle();
  });
});

describe('what is no sign of a restored environment', () => {
  it('rows that are deleted, the newest one too, and rows that are read again', async () => {
    org = await Organisation.start(['account', 'lead', { name: 'contact', strategy: 'full' }]);
    const tables = ['account', 'lead', 'contact'];
    const ids = tables.map((table) => org.rows(table, 5));
    await org.sync();
    for (const [at, table] of tables.entries()) org.store.delete(table, ids[at]!.at(-1)!);
    await org.sync();
    await org.sync();
    await org.expectMirror(...tables);
    expect(warnings().filter((text) => movedBack.test(text))).toEqual([]);
  });

  it('a row that a read shows twice, later in the older version', async () => {
    const settings = { DATAVERSE_PAGE_SIZE: '10', SYNC_SLICE_MB: '0.001' };
    org = await Organisation.start([{ name: 'lead', strategy: 'full' }], {}, settings);
    org.rows('lead', 30, () => ({ subject: 'old' }));
    await org.sync();
    const { services } = org.harness;
    const { dataverse } = services;
    let older: unknown;
    let pages = 0;
    services.dataverse = {
      ...dataverse,
      readPages: async function* (query, options) {
        for await (const page of dataverse.readPages(query, options)) {
          if (query.entitySet !== 'leads') {
            yield page;
            continue;
          }
          const rows: unknown[] = parseRows(page);
          if (++pages === 1) {
            older = rows[0];
            rows[0] = { ...rows[0]!, '@odata.etag': 'W/"90000000"', versionnumber: 90_000_000 };
          }
          if (page.nextLink === undefined) rows.push(older);
          const body = Buffer.from(JSON.stringify(rows).slice(1, -1));
          yield { ...page, body, recordsStart: 0, recordsEnd: body.length };
        }
      },
    };
    const status = await org.sync();
    expect(pages).toBe(3);
    expect(reportOf(status, 'lead').rowsRead).toBe(31);
    expect(warnings().filter((text) => movedBack.test(text))).toEqual([]);
  });
});

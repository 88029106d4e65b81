import { afterEach, describe, expect, it } from 'vitest';
import { Organisation, reportOf } from '../organisation.ts';

let org: Organisation;
afterEach(() => org.stop());

const account = (id: string) => ({ id, table: 'account' });
const absent = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
const hour = 3_600_000;
const day = 24 * hour;

/** Starts with leads that refer to accounts that do not exist, and one that exists. @returns the ids of the leads */
async function start(count: number): Promise<string[]> {
  org = await Organisation.start(['lead', { name: 'account', filtered: true }]);
  const [present] = org.rows('account', 1) as [string];
  org.rows('lead', 1, () => ({ _customerid_value: account(present) }));
  const leads = org.rows('lead', count, (n) => ({ _customerid_value: account(absent(n)) }));
  await org.sync();
  expect(await org.ids('account')).toEqual([present]);
  return leads;
}

/** The ids of absent accounts that Dataverse is asked for from now on. */
function askedIds(): Set<string> {
  const asked = new Set<string>();
  org.dataverse.faults.add({
    kind: '503',
    match: ({ query }) => {
      for (const [id] of decodeURIComponent(query).matchAll(/00000000-0000-4000-8000-\d{12}/g)) asked.add(id);
      return false;
    },
  });
  return asked;
}

/** The remembered ids of absent accounts. */
async function remembered(): Promise<string[]> {
  const { mirror, work } = org.harness.services;
  const { list } = (await mirror.lastState())?.entities['account']?.absentIds ?? {};
  const read = list === undefined ? undefined : await work.read<[string, string][]>(list);
  return (read?.value ?? []).map(([id]) => id);
}

describe('ids that Dataverse does not have', () => {
  it('are not asked for again, neither in idle runs nor in others', async () => {
    const leads = await start(1000);
    const asked = askedIds();
    await org.expectIdle();
    org.rows('lead', 1);
    org.store.update('account', (await org.ids('account'))[0]!, { name: 'renamed' });
    await org.sync();
    expect(asked.size).toBe(0);
    expect(await org.query('SELECT name FROM accounts')).toEqual([{ name: 'renamed' }]);
    const { mirror } = org.harness.services;
    expect(JSON.stringify((await mirror.lastState())!.entities['account']).length).toBeLessThan(20_000);
    expect(await remembered()).toHaveLength(1000);
    // A row that changes may refer to a row that came into being. The others are left alone.
    org.store.update('lead', leads[7]!, { subject: 'changed' });
    await org.sync();
    expect([...asked]).toEqual([absent(7)]);
    await org.expectIdle();
    expect(asked.size).toBe(1);
  });

  it('arrive at once when a row that refers to them changes, or comes', async () => {
    const leads = await start(3);
    for (const n of [0, 1, 2]) org.store.create('account', { accountid: absent(n), name: `late ${n}` });
    org.store.update('lead', leads[0]!, { subject: 'changed' });
    org.rows('lead', 1, () => ({ _customerid_value: account(absent(1)) }));
    await org.sync();
    const late = "SELECT name FROM accounts WHERE name LIKE 'late%' ORDER BY name";
    expect(await org.query(late)).toEqual([{ name: 'late 0' }, { name: 'late 1' }]);
    expect(await remembered()).toEqual([absent(2)]);
    await org.expectIdle();
  });

  it('arrive with the slow schedule if nothing else changes', async () => {
    await start(3);
    const asked = askedIds();
    org.clock.now += day;
    const status = await org.expectIdle();
    expect(status.rounds).toBe(1);
    expect(asked.size).toBe(3);
    asked.clear();
    await org.expectIdle();
    expect(asked.size).toBe(0);
    org.store.create('account', { accountid: absent(2), name: 'late' });
    await org.expectIdle();
    org.clock.now += day;
    await org.sync();
    expect(await org.ids('account')).toContain(absent(2));
    expect(await remembered()).toEqual([absent(0), absent(1)]);
    await org.expectIdle();
  });

  it('are asked for when the table is read again, also without a slow schedule', async () => {
    org = await Organisation.start(['lead', { name: 'account', filtered: true, verifyHours: 0 }]);
    org.rows('lead', 2, (n) => ({ _customerid_value: account(absent(n)) }));
    await org.sync();
    org.store.create('account', { accountid: absent(0) });
    org.clock.now += day;
    await org.expectIdle();
    await org.sync({ reread: ['account'] });
    expect(await org.ids('account')).toEqual([absent(0)]);
    expect(await remembered()).toEqual([absent(1)]);
    await org.expectIdle();
  });

  it('arrive in the run that notices a restore of the environment', async () => {
    org = await Organisation.start(['lead', { name: 'account', filtered: true, verifyHours: 0 }]);
    const [back] = org.rows('account', 1) as [string];
    org.rows('lead', 1, () => ({ _customerid_value: account(back) }));
    const [other] = org.rows('lead', 1) as [string];
    await org.sync();
    const backup = org.store.backup();
    // The lead keeps its reference.
    org.store.rowsOf(org.store.table('account')).remove(back);
    await org.sync();
    expect(await org.ids('account')).toEqual([]);
    // A change of a lead that does not refer to it shows that Dataverse has moved back, and asks for nothing.
    org.store.update('lead', other, { subject: 'later' });
    await org.sync();
    expect(await remembered()).toEqual([back]);
    org.store.restore(backup);
    await org.sync();
    expect(await org.ids('account')).toEqual([back]);
    await org.expectIdle();
  });

  it('are forgotten once nothing refers to them, and when they are there', async () => {
    const leads = await start(2);
    org.store.update('lead', leads[0]!, { _customerid_value: null });
    await org.sync();
    expect(await remembered()).toEqual([absent(1)]);
    org.store.delete('lead', leads[1]!);
    // Deletes in a table without change tracking show when all keys are compared.
    org.clock.now += day;
    await org.sync();
    expect(await remembered()).toEqual([]);
    const asked = askedIds();
    org.clock.now += day;
    await org.sync();
    expect(asked.size).toBe(0);
  });

  it('cost one look at each table that refers to them in a merge, and more where the merge reads rows', async () => {
    org = await Organisation.start([
      'lead',
      ...['account', 'contact'].map((name) => ({ name, filtered: true })),
    ]);
    org.rows('lead', 5, (n) => ({ _customerid_value: account(absent(n)) }));
    await org.sync();
    const { mirror } = org.harness.services;
    const real = mirror.transaction.bind(mirror);
    const merges: string[][] = [];
    mirror.transaction = (options, work) =>
      real(options, (transaction) => {
        const referrers = transaction.referrers.bind(transaction);
        const looks: string[] = [];
        merges.push(looks);
        transaction.referrers = (tables, target, ids) => {
          if (target === 'account') looks.push(...tables.map(({ logicalName }) => logicalName));
          return referrers(tables, target, ids);
        };
        return work(transaction);
      });
    org.rows('lead', 1);
    await org.sync();
    expect(merges.map((looks) => looks.sort())).toEqual([['account', 'contact', 'lead']]);
    // The second merge reads the employer of the person itself.
    const [employer] = org.rows('account', 1) as [string];
    const [person] = org.rows('contact', 1, () => ({ _parentcustomerid_value: account(employer) })) as [
      string,
    ];
    org.rows('lead', 1, () => ({ _customerid_value: { id: person, table: 'contact' } }));
    await org.sync();
    expect(await org.ids('account')).toEqual([employer]);
    expect(merges.slice(1).map((looks) => looks.sort())).toEqual([
      ['account', 'contact', 'lead'],
      ['account', 'account', 'contact', 'lead'],
    ]);
  });

  it('are asked for once an hour if new rows refer to them in every run, and the list stays', async () => {
    await start(2);
    const asked = askedIds();
    const refer = () => org.rows('lead', 1, () => ({ _customerid_value: account(absent(0)) }));
    refer();
    // At once the first time.
    expect((await org.sync()).rounds).toBe(2);
    const listName = async () =>
      (await org.harness.services.mirror.lastState())!.entities['account']!.absentIds!.list;
    const list = await listName();
    asked.clear();
    for (let run = 0; run < 3; run++) {
      refer();
      expect((await org.sync()).rounds).toBe(1);
    }
    expect(asked.size).toBe(0);
    expect(await listName()).toBe(list);
    org.store.create('account', { accountid: absent(0), name: 'late' });
    await org.expectIdle();
    // Nothing needs to change for it.
    org.clock.now += hour;
    await org.sync();
    expect([...asked]).toEqual([absent(0)]);
    expect(await org.ids('account')).toContain(absent(0));
    expect(await remembered()).toEqual([absent(1)]);
    await org.expectIdle();
  });

  it('are settled for the hours after if they are still absent then', async () => {
    await start(1);
    for (let run = 0; run < 2; run++) {
      org.rows('lead', 1, () => ({ _customerid_value: account(absent(0)) }));
      await org.sync();
    }
    org.clock.now += hour;
    const asked = askedIds();
    expect((await org.expectIdle()).rounds).toBe(2);
    expect([...asked]).toEqual([absent(0)]);
    asked.clear();
    org.clock.now += hour;
    expect((await org.expectIdle()).rounds).toBe(1);
    expect(asked.size).toBe(0);
  });

  it('stay open if the slow schedule finds one of them and the read of its row fails', async () => {
    await start(2);
    org.clock.now += day;
    org.store.create('account', { accountid: absent(0) });
    const fault = org.dataverse.faults.add({
      kind: '503',
      match: ({ path, query }) =>
        path.endsWith('/accounts') && query.includes(absent(0)) && !/select=accountid(&|$)/.test(query),
      times: 1000,
    });
    expect(reportOf(await org.sync(), 'account').state).toBe('failed');
    expect(await remembered()).toEqual([absent(1)]);
    fault.remove();
    await org.sync();
    expect(await org.ids('account')).toContain(absent(0));
    await org.expectIdle();
  });

  it('stay open as long as the read for them fails', async () => {
    const leads = await start(1);
    org.store.create('account', { accountid: absent(0) });
    org.store.update('lead', leads[0]!, { subject: 'changed' });
    const fault = org.dataverse.faults.add({
      kind: '503',
      match: /\/accounts\?.*-000000000000/,
      times: 1000,
    });
    await org.sync();
    fault.remove();
    expect(await org.ids('account')).not.toContain(absent(0));
    await org.sync();
    expect(await org.ids('account')).toContain(absent(0));
    await org.expectIdle();
  });

  it('are asked for again if the list of them is lost', async () => {
    await start(2);
    const { mirror, work } = org.harness.services;
    await work.deletePrefix((await mirror.lastState())!.entities['account']!.absentIds!.list);
    org.store.create('account', { accountid: absent(0) });
    org.rows('lead', 1);
    await org.sync();
    expect(await org.ids('account')).toContain(absent(0));
    await org.expectIdle();
  });
});

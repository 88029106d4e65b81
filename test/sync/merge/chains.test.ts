import { afterEach, describe, expect, it } from 'vitest';
import { Random } from '../../../src/local/sample-dataverse/rows/random.ts';
import { Organisation, reportOf } from '../organisation.ts';
import { addColumn } from '../schema-drift.ts';

let org: Organisation;
afterEach(() => org.stop());

const filtered = (name: string, options: object = {}) => ({ name, filtered: true, ...options });
const to = (table: string, id: string) => ({ id, table });
const dead = '00000000-0000-4000-8000-00000000dead';

/** Counts the commits of the mirror. */
function countCommits(): { count: number } {
  const commits = { count: 0 };
  const { mirror } = org.harness.services;
  const real = mirror.transaction.bind(mirror);
  mirror.transaction = (options, work) =>
    real(options, (transaction) => {
      const commit = transaction.commit.bind(transaction);
      transaction.commit = (contents) => {
        commits.count += 1;
        return commit(contents);
      };
      return work(transaction);
    });
  return commits;
}

/** What the filtered tables must have, from the rows of Dataverse alone. */
function expectedClosure(roots: readonly string[], tables: readonly string[]): Map<string, string[]> {
  const rows = new Map([...roots, ...tables].map((name) => [name, org.store.truth(name)]));
  const reached = new Map(tables.map((name) => [name, new Set<string>()]));
  const waiting = roots.flatMap((name) => [...rows.get(name)!.values()]);
  for (let row = waiting.pop(); row !== undefined; row = waiting.pop()) {
    for (const value of Object.values(row)) {
      if (typeof value !== 'object' || value === null || !('table' in value)) continue;
      const { id, table } = value as { id: string; table: string };
      const target = rows.get(table)?.get(id);
      if (target === undefined || reached.get(table)?.has(id) !== false) continue;
      reached.get(table)!.add(id);
      waiting.push(target);
    }
  }
  return new Map([...reached].map(([name, ids]) => [name, [...ids].sort()]));
}

async function expectClosure(roots: readonly string[], tables: readonly string[]): Promise<void> {
  for (const [name, ids] of expectedClosure(roots, tables)) expect(await org.ids(name), name).toEqual(ids);
}

/** Accounts, each the parent of the one before. @returns their ids, the lowest first */
function parents(levels: number): string[] {
  const ids = org.rows('account', levels);
  for (const [n, id] of ids.entries()) {
    const parent = ids[n + 1];
    if (parent !== undefined)
      org.store.update('account', id, { _parentaccountid_value: to('account', parent) });
  }
  return ids;
}

describe('chains of references', () => {
  it('of one table arrive in two commits, whatever their length', async () => {
    org = await Organisation.start(['lead', filtered('account')]);
    const chain = parents(25);
    org.rows('lead', 1, () => ({ _customerid_value: to('account', chain[0]!) }));
    const commits = countCommits();
    expect((await org.sync()).rounds).toBe(2);
    expect(commits.count).toBeLessThanOrEqual(2);
    expect(await org.ids('account')).toEqual([...chain].sort());
    await org.expectSound();
    await org.expectIdle();
    // A chain that grows at its end, where the mirror has the rest.
    const more = parents(10);
    org.store.update('account', chain[24]!, { _parentaccountid_value: to('account', more[0]!) });
    expect((await org.sync()).rounds).toBe(2);
    expect(await org.ids('account')).toEqual([...chain, ...more].sort());
    await org.expectIdle();
  });

  it('that alternate between two tables arrive in two commits', async () => {
    org = await Organisation.start(['lead', filtered('account'), filtered('contact')]);
    const accounts = org.rows('account', 12);
    const contacts = org.rows('contact', 12, (n) => ({
      _parentcustomerid_value: to('account', accounts[n]!),
    }));
    for (const [n, id] of accounts.entries()) {
      // The last one closes the loop.
      org.store.update('account', id, { _primarycontactid_value: to('contact', contacts[(n + 1) % 12]!) });
    }
    org.rows('lead', 1, () => ({ _customerid_value: to('contact', contacts[0]!) }));
    const commits = countCommits();
    const status = await org.sync();
    expect(status.rounds).toBe(2);
    expect(commits.count).toBeLessThanOrEqual(2);
    await expectClosure(['lead'], ['account', 'contact']);
    expect(reportOf(status, 'account')).toMatchObject({ added: 12, unchanged: 0, state: 'merged' });
    expect(reportOf(status, 'contact')).toMatchObject({ added: 12, unchanged: 0, state: 'merged' });
    await org.expectSound();
    await org.expectIdle();
  });

  it('continue over slices, and loops end', async () => {
    org = await Organisation.start(['lead', filtered('account')]);
    // Every batch of ids fills a slice.
    org.harness.services.settings.sync.sliceBytes = 1;
    const chain = parents(8);
    org.store.update('account', chain[7]!, { _parentaccountid_value: to('account', chain[2]!) });
    org.rows('lead', 1, () => ({ _customerid_value: to('account', chain[0]!) }));
    const asked = requests('accounts');
    expect((await org.sync()).rounds).toBe(2);
    expect(await org.ids('account')).toEqual([...chain].sort());
    // No row is read twice.
    expect(asked.filter((query) => query.includes('In(')).length).toBe(8);
    await org.expectIdle();
  });

  it('end where a row is missing, or was deleted while the chain was read', async () => {
    org = await Organisation.start(['lead', filtered('account')]);
    const chain = parents(6);
    org.store.update('account', chain[5]!, { _parentaccountid_value: to('account', dead) });
    org.rows('lead', 1, () => ({ _customerid_value: to('account', chain[0]!) }));
    requests('accounts', (query) => {
      if (query.includes(chain[1]!) && org.store.truth('account').has(chain[3]!)) {
        org.store.delete('account', chain[3]!);
      }
    });
    expect((await org.sync()).rounds).toBe(2);
    expect(await org.ids('account')).toEqual(chain.slice(0, 3).sort());
    await org.expectIdle();
  });

  it('are followed from rows that are read again, also where there are none', async () => {
    org = await Organisation.start(['lead', filtered('account'), filtered('contact')]);
    const [company] = org.rows('account', 1) as [string];
    org.rows('lead', 1, () => ({ _customerid_value: to('account', company) }));
    await org.sync();
    for (const name of ['account', 'contact']) addColumn(org.store, name, 'new_rating', 'int', () => 7);
    org.store.update('account', company, { _parentaccountid_value: to('account', parents(3)[0]!) });
    expect(await org.sync()).toMatchObject({ rounds: 1, totals: { failed: 0 } });
    await expectClosure(['lead'], ['account', 'contact']);
    const rating = `SELECT new_rating AS n FROM accounts WHERE accountid = '${company}'`;
    expect(await org.query(rating)).toEqual([{ n: 7 }]);
    await org.expectIdle();
  });

  it('are completed by the queue where the merge cannot read', async () => {
    org = await Organisation.start(['lead', filtered('account'), filtered('contact')]);
    const [company] = org.rows('account', 1) as [string];
    const [person] = org.rows('contact', 1, () => ({ _parentcustomerid_value: to('account', company) }));
    org.rows('lead', 1, () => ({ _customerid_value: to('contact', person!) }));
    org.dataverse.faults.add({ kind: '503', match: /\/accounts\?.*In/, times: 3 });
    expect((await org.sync()).rounds).toBe(3);
    await expectClosure(['lead'], ['account', 'contact']);
    await org.expectIdle();
  });

  it('that a table failed to read are completed by the next run', async () => {
    org = await Organisation.start(['lead', filtered('account'), filtered('contact')]);
    const [company] = org.rows('account', 1) as [string];
    const people = org.rows('contact', 2);
    org.store.update('contact', people[0]!, { _parentcustomerid_value: to('contact', people[1]!) });
    org.rows('lead', 2, (n) => ({
      _customerid_value: n === 0 ? to('account', company) : to('contact', people[0]!),
    }));
    const fault = org.dataverse.faults.add({ kind: '503', match: /\/accounts\?.*In/, times: 1000 });
    expect(reportOf(await org.sync(), 'account').state).toBe('failed');
    fault.remove();
    await org.sync();
    await expectClosure(['lead'], ['account', 'contact']);
    await org.expectIdle();
  });

  it.each([1, 2, 3])('give what a search of Dataverse gives, whatever the graph (%i)', async (seed) => {
    const random = new Random(seed, 'graphs');
    const tables = ['account', 'contact'];
    org = await Organisation.start(['lead', filtered('account'), filtered('contact')]);
    const accounts = org.rows('account', 40);
    const contacts = org.rows('contact', 40);
    const leads = org.rows('lead', 4);
    const pick = (table: string, ids: readonly string[]) =>
      random.chance(0.1) ? to(table, dead) : to(table, ids[random.below(ids.length)]!);
    const customer = () => (random.chance(0.5) ? pick('account', accounts) : pick('contact', contacts));
    const change = (share: number): void => {
      for (const [table, ids] of [
        ['account', accounts],
        ['contact', contacts],
        ['lead', leads],
      ] as const) {
        for (const id of ids) {
          if (!random.chance(share) || !org.store.truth(table).has(id)) continue;
          if (table !== 'lead' && random.chance(0.1)) org.store.delete(table, id);
          else if (table === 'account') {
            org.store.update(table, id, {
              _parentaccountid_value: random.chance(0.6) ? pick('account', accounts) : null,
              _primarycontactid_value: random.chance(0.4) ? pick('contact', contacts) : null,
            });
          } else if (table === 'contact')
            org.store.update(table, id, { _parentcustomerid_value: customer() });
          else org.store.update(table, id, { _customerid_value: customer() });
        }
      }
    };
    for (let run = 0; run < 3; run++) {
      change(run === 0 ? 1 : 0.15);
      const commits = countCommits();
      await org.sync({ allowMassDelete: tables });
      expect(commits.count).toBeLessThanOrEqual(3);
      await expectClosure(['lead'], tables);
    }
    await org.expectSound();
    await org.expectIdle();
  });
});

/** The decoded queries that Dataverse gets for a table from now on. */
function requests(entitySet: string, onRequest: (query: string) => void = () => undefined): string[] {
  const queries: string[] = [];
  org.dataverse.faults.add({
    kind: '503',
    match: ({ path, query }) => {
      if (!path.endsWith(`/${entitySet}`)) return false;
      queries.push(decodeURIComponent(query));
      onRequest(queries.at(-1)!);
      return false;
    },
  });
  return queries;
}

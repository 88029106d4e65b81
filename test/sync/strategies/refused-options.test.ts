import { afterEach, describe, expect, it } from 'vitest';
import { Organisation, reportOf } from '../organisation.ts';

let org: Organisation;
afterEach(() => org.stop());

interface Answer {
  status: number;
  code: string;
}

/** Rejects requests for leads that have this option, as a provider of virtual tables does. */
function reject(option: RegExp, { status, code }: Answer, table = 'leads') {
  return org.dataverse.faults.add({
    kind: 'error',
    ...{ status, code, message: 'Not implemented.' },
    match: ({ path, query, headers }) =>
      path.endsWith(`/${table}`) &&
      !query.includes('$top') &&
      option.test(decodeURIComponent(`${query} ${headers['prefer'] ?? ''}`)),
    times: 1000,
  });
}

const answers = [
  { status: 400, code: '0x80040224' },
  { status: 501, code: '0x80040224' },
  { status: 500, code: '0x80040216' },
  { status: 405, code: '0x0' },
];

describe.each(answers)('a provider that answers status $status', (answer) => {
  it('is read in full if it rejects the filter; that is said, remembered, and tried again later', async () => {
    org = await Organisation.start(['lead']);
    const ids = org.rows('lead', 6);
    await org.sync();
    const fault = reject(/\$filter=modifiedon/, answer);
    org.store.update('lead', ids[0]!, { subject: 'changed' });
    org.store.delete('lead', ids[1]!);
    const report = reportOf(await org.sync(), 'lead');
    expect(report).toMatchObject({ strategy: 'full', updated: 1, deleted: 1 });
    expect(report.error).toBeUndefined();
    expect(report.reason).toMatch(/filter on modifiedon.*Not implemented/);
    const { hits } = fault;
    org.store.update('lead', ids[2]!, { subject: 'changed later' });
    const next = reportOf(await org.sync(), 'lead');
    expect(next).toMatchObject({
      strategy: 'full',
      updated: 1,
      reason: expect.stringMatching(/tried again after/),
    });
    expect(fault.hits).toBe(hits);
    fault.remove();
    org.clock.now += 86_400_000;
    expect(reportOf(await org.sync(), 'lead').strategy).toBe('modifiedon');
    await org.expectMirror('lead');
  });

  it('is read without change tracking if it rejects that', async () => {
    org = await Organisation.start(['account']);
    org.rows('account', 3);
    reject(/track-changes/, answer, 'accounts');
    const report = reportOf(await org.sync(), 'account');
    expect(report).toMatchObject({ strategy: 'modifiedon', added: 3 });
    expect(report.reason).toMatch(/change tracking/);
    await org.expectMirror('account');
  });
});

it('leaves out an order and a list of columns that are rejected, says so once, and tries them again later', async () => {
  org = await Organisation.start([{ name: 'lead', columns: { exclude: ['description'] } }]);
  org.rows('lead', 3);
  const order = reject(/orderby/, answers[0]!);
  const columns = reject(/select=(?!leadid($|&))/, answers[1]!);
  const first = reportOf(await org.sync(), 'lead');
  expect(first).toMatchObject({ added: 3, state: 'merged' });
  expect(first.error).toBeUndefined();
  expect(first.reason).toMatch(/does not accept an order .* does not accept a list of columns/);
  expect(
    await org.query("SELECT count(*) AS n FROM pragma_table_info('leads') WHERE name = 'description'"),
  ).toEqual([{ n: 0 }]);
  const hits = order.hits + columns.hits;
  const { log } = org.harness;
  const said = () => log.filter(({ message }) => /does not accept/.test(message)).length;
  expect(said()).toBe(2);
  org.rows('lead', 1);
  expect(reportOf(await org.sync(), 'lead')).toMatchObject({ added: 1 });
  expect(order.hits + columns.hits).toBe(hits);
  expect(said()).toBe(2);
  org.clock.now += 86_400_000;
  await org.sync();
  expect(order.hits + columns.hits).toBeGreaterThan(hits);
});

it('remembers each strategy that was rejected', async () => {
  org = await Organisation.start(['account']);
  const [id] = org.rows('account', 3) as [string];
  await org.sync();
  reject(/track-changes|deltatoken/, answers[1]!, 'accounts');
  const filter = reject(/\$filter=modifiedon/, answers[1]!, 'accounts');
  expect(reportOf(await org.sync(), 'account')).toMatchObject({ strategy: 'full' });
  const { hits } = filter;
  org.store.update('account', id, { name: 'changed' });
  expect(reportOf(await org.sync(), 'account')).toMatchObject({ strategy: 'full', updated: 1 });
  expect(filter.hits).toBe(hits);
  await org.expectMirror('account');
});

describe.each(answers.slice(1, 3))('reads by id from a provider that answers status $status', (answer) => {
  const account = (id: string) => ({ id, table: 'account' });
  const rows = 30;

  /** Leads that refer to accounts, one of which does not exist. */
  async function start(): Promise<string[]> {
    org = await Organisation.start([
      'lead',
      { name: 'account', filtered: true, columns: { include: ['name'] } },
    ]);
    const ids = org.rows('account', rows, (n) => ({ name: `account ${n}` }));
    org.rows('lead', rows, (n) => ({ _customerid_value: account(ids[n]!) }));
    org.rows('lead', 1, () => ({ _customerid_value: account('00000000-0000-4000-8000-00000000dead') }));
    return ids;
  }

  it.each([
    ['the filter In', /\$filter=Microsoft\.Dynamics\.CRM\.In/, ['in']],
    ['every filter', /\$filter=/, ['in', 'filter']],
    ['every filter, and columns', /\$filter=|\$select=/, ['in', 'filter', 'columns']],
  ] as const)('work if it rejects %s, which is said and remembered', async (_, option, refused) => {
    const ids = await start();
    const fault = reject(option, answer, 'accounts');
    const single = refused.length === 3 ? rejectSelectOfRows(answer) : undefined;
    const first = reportOf(await org.sync(), 'account');
    expect(first).toMatchObject({ state: 'merged', added: rows });
    expect(first.error).toBeUndefined();
    expect(first.reason).toMatch(refused.length === 1 ? /does not accept the filter In/ : /a filter by id/);
    expect(await org.query('SELECT count(*) AS n, max(name) AS name FROM accounts')).toEqual([
      { n: rows, name: 'account 9' },
    ]);
    const state = await org.harness.services.mirror.lastState();
    expect(state?.entities['account']?.refusedOptions?.options.toSorted()).toEqual(refused.toSorted());
    const said = () => org.harness.log.filter(({ message }) => /does not accept/.test(message)).length;
    const before = { hits: fault.hits + (single?.hits ?? 0), said: said() };
    expect(before.said).toBe(refused.length);
    // Keys are compared, changed rows are read, and deleted ones found in the same way.
    org.store.update('account', ids[0]!, { name: 'renamed' });
    org.store.delete('account', ids[1]!);
    await org.sync();
    expect(await org.ids('account')).toEqual(ids.filter((id) => id !== ids[1]).sort());
    expect(await org.query(`SELECT name FROM accounts WHERE accountid = '${ids[0]}'`)).toEqual([
      { name: 'renamed' },
    ]);
    expect({ hits: fault.hits + (single?.hits ?? 0), said: said() }).toEqual(before);
    await org.expectIdle();
    fault.remove();
    single?.remove();
    org.clock.now += 86_400_000;
    const tried = org.dataverse.faults.add({
      kind: '503',
      match: ({ query }) => {
        if (decodeURIComponent(query).includes('CRM.In(')) inQueries += 1;
        return false;
      },
    });
    let inQueries = 0;
    await org.sync();
    expect(inQueries).toBeGreaterThan(0);
    tried.remove();
  });

  it('fail, and delete nothing, if the table is gone', async () => {
    const ids = await start();
    await org.sync();
    org.dataverse.faults.add({
      kind: 'error',
      ...{ status: 404, code: '0x80060888', message: 'Not found.' },
      match: /\/accounts[(?]/,
      times: 1000,
    });
    expect(reportOf(await org.sync(), 'account').state).toBe('failed');
    expect(await org.ids('account')).toEqual([...ids].sort());
  });
});

/** Rejects single reads with a list of columns. */
function rejectSelectOfRows({ status, code }: Answer) {
  return org.dataverse.faults.add({
    kind: 'error',
    ...{ status, code, message: 'Not implemented.' },
    match: /\/accounts\(.*\$select/,
    times: 1000,
  });
}

it('compares keys without a list of columns if that is rejected', async () => {
  org = await Organisation.start([{ name: 'lead', reconcileEvery: 1 }]);
  const ids = org.rows('lead', 3);
  await org.sync();
  const fault = reject(/\$select=leadid/, answers[0]!);
  org.store.delete('lead', ids[0]!);
  const report = reportOf(await org.sync(), 'lead');
  expect(report).toMatchObject({ strategy: 'modifiedon', deleted: 1 });
  expect(report.reason).toMatch(/does not accept a list of columns/);
  const { hits } = fault;
  org.store.delete('lead', ids[1]!);
  expect(reportOf(await org.sync(), 'lead').deleted).toBe(1);
  expect(fault.hits).toBe(hits);
  await org.expectMirror('lead');
});

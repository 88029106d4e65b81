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

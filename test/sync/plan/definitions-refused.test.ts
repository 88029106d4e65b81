import { afterEach, expect, it } from 'vitest';
import { Organisation, reportOf } from '../organisation.ts';

let org: Organisation;
afterEach(() => org.stop());

it('syncs with what $metadata gives if the definitions may not be read, and names the privilege', async () => {
  org = await Organisation.start([
    'account',
    'lead',
    'new_account_new_campaign',
    { name: 'systemuser', filtered: true },
  ]);
  org.rows('account', 3);
  const [lead] = org.rows('lead', 3) as [string];
  const refused = org.dataverse.faults.add({
    kind: 'error',
    status: 403,
    code: '0x80040220',
    message: 'Principal user (Id=1) is missing prvReadEntity privilege (Id=2) on OTC=9800.',
    match: /EntityDefinitions/,
    times: 1000,
  });
  const first = await org.sync();
  expect(refused.hits).toBeGreaterThan(0);
  expect(first.totals).toMatchObject({ failed: 0 });
  expect(reportOf(first, 'account')).toMatchObject({ strategy: 'delta', added: 3 });
  expect(
    org.harness.log.filter(({ level, message }) => level === 'warn' && /prvReadEntity/.test(message)),
  ).toHaveLength(1);
  org.store.update('lead', lead, { subject: 'changed' });
  await org.sync();
  await org.expectMirror('account', 'lead', 'new_account_new_campaign');
  await org.expectIdle();
});

it('asks for refused definitions once in each run, and uses them once access is granted', async () => {
  org = await Organisation.start(['account', 'contact']);
  const [account] = org.rows('account', 1, () => ({ name: 'Contoso' }));
  org.rows('contact', 1, () => ({ _parentcustomerid_value: { id: account!, table: 'account' } }));
  const asked: string[] = [];
  org.dataverse.faults.add({ kind: 'error', match: ({ path }) => asked.push(path) < 0 });
  const definitions = (): number =>
    asked.splice(0).filter((path) => path.endsWith('/EntityDefinitions')).length;
  const refused = org.dataverse.faults.add({
    kind: 'error',
    status: 403,
    code: '0x80040220',
    message: 'Principal user (Id=1) is missing prvReadEntity privilege (Id=2) on OTC=9800.',
    match: ({ path }) => path.endsWith('/EntityDefinitions'),
    times: 1000,
  });
  await org.sync();
  asked.splice(0);
  const names =
    "SELECT name FROM pragma_table_info('contacts_labelled') WHERE name = '_parentcustomerid_name'";
  expect(await org.query(names)).toEqual([]);
  await org.expectIdle();
  expect(definitions()).toBe(1);
  await org.expectIdle();
  expect(definitions()).toBe(1);
  const isWarning = (entry: { level: string; message: string }): boolean =>
    entry.level === 'warn' && entry.message.startsWith('The entity definitions cannot be read');
  // The first run knows no table to ask for the metadata version, so the second one reads the metadata, too.
  expect(org.harness.log.filter(isWarning)).toHaveLength(2);
  refused.remove();
  expect((await org.sync()).totals).toMatchObject({ failed: 0 });
  expect(definitions()).toBe(1);
  expect(await org.query('SELECT _parentcustomerid_name AS name FROM contacts_labelled')).toEqual([
    { name: 'Contoso' },
  ]);
  await org.expectMirror('account', 'contact');
  await org.expectIdle();
  expect(definitions()).toBe(0);
});

it('reads all rows of a table to which access is granted', async () => {
  org = await Organisation.start(['account', { name: 'lead', reconcileEvery: 0 }]);
  org.rows('account', 3);
  org.rows('lead', 3);
  org.store.deniedPrivileges.add('prvReadAccount').add('prvReadLead');
  expect((await org.sync()).totals).toMatchObject({ failed: 2 });
  org.clock.now += 864_000_000;
  org.rows('lead', 1);
  expect((await org.sync()).totals).toMatchObject({ failed: 2 });
  org.store.deniedPrivileges.clear();
  expect((await org.sync()).totals).toMatchObject({ failed: 0, added: 7 });
  await org.expectMirror('account', 'lead');
  // Refused for a while, with changes behind the watermark: the cursors still hold.
  org.store.deniedPrivileges.add('prvReadAccount').add('prvReadLead');
  org.rows('account', 1);
  org.rows('lead', 1);
  expect((await org.sync()).totals).toMatchObject({ failed: 2 });
  org.clock.now += 864_000_000;
  org.rows('lead', 1);
  org.store.deniedPrivileges.clear();
  expect((await org.sync()).totals).toMatchObject({ failed: 0, added: 3 });
  await org.expectMirror('account', 'lead');
  await org.expectIdle();
});

it('names the missing privilege in the hint of a table', async () => {
  org = await Organisation.start(['account', 'lead']);
  org.store.deniedPrivileges.add('prvReadlead');
  const report = reportOf(await org.sync(), 'lead');
  expect(report).toMatchObject({ state: 'failed', hint: expect.stringMatching(/privilege prvRead\w*lead/i) });
});

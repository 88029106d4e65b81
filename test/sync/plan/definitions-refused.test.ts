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

it('names the missing privilege in the hint of a table', async () => {
  org = await Organisation.start(['account', 'lead']);
  org.store.deniedPrivileges.add('prvReadlead');
  const report = reportOf(await org.sync(), 'lead');
  expect(report).toMatchObject({ state: 'failed', hint: expect.stringMatching(/privilege prvRead\w*lead/i) });
});

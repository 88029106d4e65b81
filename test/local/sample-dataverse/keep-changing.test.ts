import { afterEach, expect, it } from 'vitest';
import { change } from '../../../src/local/sample-dataverse/keep-changing.ts';
import { Organisation } from '../../sync/organisation.ts';

let org: Organisation;
afterEach(() => org.stop());

it('changes that a dashboard can show, which a sync follows', async () => {
  const tables = ['account', 'contact', 'lead', 'apex_campaignmetrics'];
  org = await Organisation.start(tables, { rows: 200 });
  await org.sync();
  let seed = 5;
  const random = (): number => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed / 2_147_483_647;
  };
  for (let n = 0; n < 20; n++) change(org.store, random);
  const { totals } = await org.sync();
  expect(totals.added).toBeGreaterThan(10);
  expect(totals.updated).toBeGreaterThan(10);
  await org.expectMirror('account', 'contact', 'apex_campaignmetrics');
  // A sample of other tables.
  const other = await Organisation.start(['account'], { rows: 5, tables: ['account'] });
  change(other.store, random);
  await other.stop();
});

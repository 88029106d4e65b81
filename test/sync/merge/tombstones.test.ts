import { afterEach, expect, it } from 'vitest';
import { Organisation, reportOf } from '../organisation.ts';

let org: Organisation;
afterEach(() => org.stop());

it('decides about every id of a delta that names more than 5,000 both as a row and as deleted', async () => {
  const columns = { include: ['name'] };
  const settings = { SYNC_MASS_DELETE_LIMIT: '1', DATAVERSE_PAGE_SIZE: '3000' };
  org = await Organisation.start([{ name: 'account', columns }], {}, settings);
  const ids = org.rows('account', 6500);
  await org.sync();
  for (const id of ids) org.store.update('account', id, { name: 'changed' });
  // Two pages have rows that are gone when the third is read, which lists them as deleted.
  let pages = 0;
  org.dataverse.faults.add({
    kind: 'error',
    match: ({ path, query }) => {
      if (!path.endsWith('/accounts') || !query.includes('skiptoken')) return false;
      pages += 1;
      if (pages === 2) for (const id of ids.slice(0, 6000)) org.store.delete('account', id);
      return false;
    },
  });
  const report = reportOf(await org.sync(), 'account');
  expect(pages).toBeGreaterThanOrEqual(2);
  expect(report).toMatchObject({ deleted: 6000, rows: 500 });
  expect(await org.ids('account')).toEqual(ids.slice(6000).sort());
});

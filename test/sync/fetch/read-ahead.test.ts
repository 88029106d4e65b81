import { afterEach, expect, it } from 'vitest';
import { Organisation, reportOf } from '../organisation.ts';

let org: Organisation;
afterEach(() => org.stop());

it('asks for each page once, however the pages divide into slices', async () => {
  const settings = { DATAVERSE_PAGE_SIZE: '10', SYNC_SLICE_MB: '0.02' };
  org = await Organisation.start(['lead', 'account'], {}, settings);
  org.rows('lead', 95);
  org.rows('account', 95);
  const urls: string[] = [];
  org.dataverse.faults.add({
    kind: 'error',
    match: ({ path, query }) => {
      if (/\/(leads|accounts)$/.test(path) && !query.includes('$top')) urls.push(`${path}?${query}`);
      return false;
    },
  });
  const status = await org.sync();
  expect(reportOf(status, 'lead')).toMatchObject({ added: 95, pages: 10, requests: 10 });
  expect(urls).toHaveLength(20);
  expect(new Set(urls).size).toBe(20);
  await org.expectMirror('lead', 'account');
});

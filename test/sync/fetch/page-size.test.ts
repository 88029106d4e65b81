import { afterEach, expect, it } from 'vitest';
import { Organisation, reportOf } from '../organisation.ts';

let org: Organisation;
afterEach(() => org.stop());

/** The page sizes that rows of a table are asked for with. */
function watchPageSizes(entitySet: string): number[] {
  const sizes: number[] = [];
  org.dataverse.faults.add({
    kind: 'error',
    match: ({ path, query, headers }) => {
      const size = Number(/maxpagesize=(\d+)/.exec(headers['prefer'] ?? '')?.[1]);
      const isWhole = path.endsWith(`/${entitySet}`) && !/[?&]?\$select=\w+id(&|$)/.test(query);
      if (isWhole && size > 0) sizes.push(size);
      return false;
    },
  });
  return sizes;
}

it('asks for few rows at once where rows are heavy, in each way of reading', async () => {
  org = await Organisation.start(['lead']);
  const ids = org.rows('lead', 12, () => ({ description: 'x'.repeat(300_000) }));
  const sizes = watchPageSizes('leads');
  const first = reportOf(await org.sync(), 'lead');
  expect(first).toMatchObject({ added: 12 });
  expect(Math.max(...sizes)).toBeLessThanOrEqual(112);
  // The size stays the same within a read: links repeat the request.
  expect(new Set(sizes).size).toBe(1);
  sizes.length = 0;
  // Later reads know the weight of rows; no request is made to find it out.
  const sample = org.dataverse.faults.add({ kind: '503', match: /leads\?.*top=10/ });
  org.store.update('lead', ids[0]!, { subject: 'changed' });
  await org.sync();
  expect(Math.max(...sizes)).toBeLessThanOrEqual(112);
  expect(sample.hits).toBe(0);
});

it('reads light rows by the full page, also those of a filtered table', async () => {
  org = await Organisation.start(['lead', { name: 'account', filtered: true }]);
  const accounts = org.rows('account', 40);
  org.rows('lead', 40, (n) => ({ _customerid_value: { id: accounts[n]!, table: 'account' } }));
  const sizes = [watchPageSizes('leads'), watchPageSizes('accounts')];
  await org.sync();
  for (const some of sizes) expect(Math.min(...some)).toBeGreaterThanOrEqual(5000);
  await org.expectMirror('lead', 'account');
  await org.expectIdle();
});

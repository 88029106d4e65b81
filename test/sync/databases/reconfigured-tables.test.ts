import { afterEach, describe, expect, it } from 'vitest';
import { Organisation } from '../organisation.ts';
import { countOf } from './databases.ts';

let org: Organisation;
afterEach(() => org.stop());

/** Each file is in memory in parts, and tables with more than five rows are large. */
const inParts = { SYNC_CACHE_MB: '0.05', SYNC_CHECK_HOURS: '0' };

describe('the rows of a filtered table', () => {
  it.each([
    ['one database', undefined, {}, undefined],
    ['two databases', 'sales', {}, undefined],
    ['one database in parts', undefined, inParts, 5],
    ['two databases in parts', 'sales', inParts, 5],
  ] as const)(
    'follow the tables that entities.json has, without other changes: %s',
    async (_, database, settings, scanRows) => {
      const account = { name: 'account', filtered: true, ...(database && { database }) };
      org = await Organisation.start([account, 'contact', 'lead'], {}, settings, scanRows);
      const [id] = org.rows('account', 1) as [string];
      org.rows('contact', 10, () => ({ _parentcustomerid_value: { id, table: 'account' } }));
      org.rows('lead', 10);
      await org.sync();
      expect(await countOf(org, database, 'accounts')).toBe(1);
      org.harness.configure([account, 'lead']);
      await org.sync();
      expect(await countOf(org, database, 'accounts')).toBe(0);
      org.harness.configure([account, 'contact', 'lead']);
      await org.sync();
      expect(await countOf(org, database, 'accounts')).toBe(1);
    },
  );
});

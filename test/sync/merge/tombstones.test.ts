import { afterEach, describe, expect, it } from 'vitest';
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

describe('a row that is named both as changed and as deleted, with a comparison of all keys', () => {
  const day = 86_400_000;
  /** The row that keys show first, and 39 others that are in the same delta after it. */
  async function startWithChanges(settings: Record<string, string>): Promise<string> {
    org = await Organisation.start(['account', 'lead'], {}, { DATAVERSE_PAGE_SIZE: '10', ...settings });
    const ids = org.rows('account', 40);
    org.rows('lead', 5);
    await org.sync();
    const [first] = [...ids].sort((a, b) => (a.slice(24) < b.slice(24) ? -1 : 1));
    org.clock.now += day;
    for (const id of [first!, ...ids.filter((one) => one !== first)]) {
      org.store.update('account', id, { name: 'changed' });
    }
    org.harness.log.splice(0);
    return first!;
  }

  /** Calls back once before each kind of request for accounts. */
  function before(hooks: Record<'changes' | 'keys' | 'laterKeys', () => void>): Set<string> {
    const done = new Set<string>();
    const once = (name: keyof typeof hooks): void => {
      if (done.has(name)) return;
      done.add(name);
      hooks[name]();
    };
    org.dataverse.faults.add({
      kind: 'error',
      match: ({ path, query }) => {
        if (!path.endsWith('/accounts')) return false;
        const text = decodeURIComponent(query);
        if (/skiptoken/.test(text) && !/select/.test(text)) once('changes');
        else if (/select=accountid/.test(text) && !/skiptoken|top=1/.test(text)) once('keys');
        else if (/select=accountid/.test(text) && /pagenumber="4"/.test(text)) once('laterKeys');
        return false;
      },
    });
    return done;
  }

  const sizes: [string, Record<string, string>][] = [
    ['in one slice', {}],
    ['in a slice for each page', { SYNC_SLICE_MB: '0.001' }],
  ];

  it.each(sizes)(
    'is no sign of a restore if it is made again and changed meanwhile, %s',
    async (_, settings) => {
      const id = await startWithChanges(settings);
      const done = before({
        changes: () => org.store.delete('account', id),
        keys: () => void org.store.create('account', { accountid: id, name: 'made again' }),
        laterKeys: () => org.store.update('account', id, { name: 'changed again' }),
      });
      const status = await org.sync();
      expect(done.size).toBe(3);
      expect(org.harness.log.filter(({ level }) => level === 'warn')).toEqual([]);
      expect(status.entities.map(({ reread }) => reread)).toEqual([undefined, undefined]);
      await org.sync();
      await org.expectMirror('account', 'lead');
      await org.expectIdle();
    },
  );
});

import { describe, expect, it } from 'vitest';
import { scanPage } from '../../../src/dataverse/read/page.ts';
import { ofType } from '../../../src/schema/column-types.ts';
import type { Column } from '../../../src/schema/table.ts';
import { ColumnCheck } from '../../../src/sync/fetch/check-columns.ts';
import { Organisation, reportOf } from '../organisation.ts';

const column = (name: string, more: Partial<Column> = {}): Column => ({
  name,
  property: name,
  edmType: 'Edm.String',
  ...ofType('text'),
  ...more,
});
const columns = [
  column('id'),
  column('name'),
  column('fax'),
  column('_x_type', { property: '_x_value@Microsoft.Dynamics.CRM.lookuplogicalname' }),
  column('entityimage', { edmType: 'Edm.Binary' }),
  column('_deleted_at', { property: undefined }),
];
const page = (...value: object[]) => scanPage(Buffer.from(JSON.stringify({ value })));

function findings(...pages: ReturnType<typeof page>[]): string[] {
  const check = new ColumnCheck(columns, { reportsUnknown: true });
  for (const [index, one] of pages.entries()) check.see(one, { areRenamed: index === 0 });
  return check.findings('account');
}

describe('the columns of pages', () => {
  it('are as the metadata say', () => {
    expect(findings(page({ '@odata.etag': 'W/"1"', id: '1', name: null, fax: '}"{' }))).toEqual([]);
    expect(findings(page())).toEqual([]);
    expect(findings()).toEqual([]);
    // Empty values may be left out of some rows.
    expect(findings(page({ id: '1', name: 'a' }, { id: '2', fax: '1' }))).toEqual([]);
    expect(findings(page({ id: '1', name: 'a' }), page({ id: '2', fax: '1' }))).toEqual([]);
    const tombstone = { '@odata.context': 'x/$metadata#accounts/$deletedEntity', id: '1', reason: 'deleted' };
    expect(findings(page(tombstone))).toEqual([]);
  });

  it('are reported if no row has them, or the metadata do not name them', () => {
    expect(findings(page({ id: '1', name: 'a' }, { id: '2' }))).toEqual([
      'No row of account that Dataverse returned has fax: empty in the mirror',
    ]);
    expect(findings(page({ id: '1', name: 'a', fax: null, new_later: 1 }))).toEqual([
      'Rows of account have new_later, which the metadata does not name: not mirrored',
    ]);
  });

  it('are found under another spelling, or reported where that is too late', () => {
    const check = new ColumnCheck(columns, { reportsUnknown: true });
    const other = page({ id: '1', Name: 'a', fax: null });
    expect([...check.see(other, { areRenamed: true })]).toEqual([['name', 'Name']]);
    expect(check.findings('account')).toEqual([]);
    expect(findings(page({ id: '1', fax: null }), other)[0]).toMatch(/has name/);
  });
});

it('stores a column that rows spell otherwise than the metadata, and reports one that they lack', async () => {
  const org = await Organisation.start(['lead']);
  try {
    org.rows('lead', 3, (n) => ({ subject: `lead ${n}` }));
    const { services } = org.harness;
    const { dataverse } = services;
    services.dataverse = {
      ...dataverse,
      async *readPages(query, options) {
        for await (const one of dataverse.readPages({ ...query, release: false }, options)) {
          const body = one.body
            .toString()
            .replaceAll('"subject":', '"Subject":')
            .replaceAll(/"companyname":[^,]*,/g, '');
          yield { ...one, ...scanPage(Buffer.from(body)) };
        }
      },
    };
    const report = reportOf(await org.sync(), 'lead');
    expect(report).toMatchObject({ state: 'merged', added: 3 });
    expect(report.reason).toMatch(/No row of lead that Dataverse returned has companyname/);
    expect(await org.query('SELECT subject FROM leads ORDER BY subject')).toEqual([
      { subject: 'lead 0' },
      { subject: 'lead 1' },
      { subject: 'lead 2' },
    ]);
  } finally {
    await org.stop();
  }
});

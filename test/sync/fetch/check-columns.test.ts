import { afterEach, describe, expect, it } from 'vitest';
import { parseTombstone } from '../../../src/dataverse/read/change-tracking.ts';
import { type Page, scanPage } from '../../../src/dataverse/read/page.ts';
import { ofType } from '../../../src/schema/column-types.ts';
import type { Column } from '../../../src/schema/table.ts';
import { Shard } from '../../../src/sqlite/shard.ts';
import { loadSqlite } from '../../../src/sqlite/sqlite.ts';
import { columnFindings } from '../../../src/sync/fetch/check-columns.ts';
import { rowVersion } from '../../../src/sync/fetch/row-version.ts';
import { Organisation, reportOf } from '../organisation.ts';

const sqlite = await loadSqlite();
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
];

/** Writes pages of rows. @returns what the mirror would get, and what is said about the columns */
function read(...pages: object[][]) {
  const shard = Shard.create(sqlite);
  try {
    const options = {
      columns,
      primaryKey: 'id',
      version: rowVersion,
      anyCase: true,
      keyless: parseTombstone,
    };
    const writer = shard.recordWriter('rows', options);
    for (const value of pages) {
      const { body, recordsStart, recordsEnd } = scanPage(Buffer.from(JSON.stringify({ value })));
      writer.write(body, recordsStart, recordsEnd);
    }
    const findings = columnFindings('account', columns, writer, { reportsUnknown: true });
    return { findings, names: shard.db.all('SELECT id, name FROM rows') };
  } finally {
    shard.close();
  }
}

describe('the columns of pages', () => {
  it('are as the metadata say', () => {
    expect(read([{ '@odata.etag': 'W/"1"', id: '1', name: null, fax: '}"{' }]).findings).toEqual([]);
    expect(read([]).findings).toEqual([]);
    expect(read().findings).toEqual([]);
    // Empty values may be left out of some rows.
    expect(
      read([
        { id: '1', name: 'a' },
        { id: '2', fax: '1' },
      ]).findings,
    ).toEqual([]);
    const tombstone = { '@odata.context': 'x/$metadata#accounts/$deletedEntity', id: '1', reason: 'deleted' };
    expect(read([{ ...tombstone, id: undefined, '@odata.id': 'accounts(1)' }]).findings).toEqual([]);
  });

  it('are reported if no row of any page, or of some pages, has them', () => {
    expect(read([{ id: '1', name: 'a' }, { id: '2' }]).findings).toEqual([
      'No row of account that Dataverse returned has fax: empty in the mirror',
    ]);
    expect(read([{ id: '1', name: 'a', fax: '"fax"' }], [{ id: '2', name: '{"fax":1}' }]).findings).toEqual([
      'Some pages of account that Dataverse returned have no row with fax: empty in the mirror there',
    ]);
  });

  it('are reported if the metadata do not name them, in whichever row they are', () => {
    const row = { id: '1', name: 'a', fax: null };
    expect(read([row, row, { ...row, new_later: 1, '@new.annotation': 1 }, row]).findings).toEqual([
      'Rows of account have new_later, which the metadata does not name: not mirrored',
    ]);
  });

  it('are found under another spelling, from whichever row on', () => {
    const { findings, names } = read(
      [
        { id: '1', name: 'a', fax: null },
        { ID: '2', Name: 'b', Fax: null },
      ],
      [
        { Id: '3', NAME: 'c', fax: '1' },
        // An exact member counts, wherever it is.
        { Name: 'x', id: '4', name: 'd', NAME: 'y', fax: null },
        { id: '5', NAME: null, name: 'e', fax: null },
        { id: '6', name: null, Name: 'z', fax: null },
      ],
    );
    expect(findings).toEqual([]);
    expect(names).toEqual([
      { id: '1', name: 'a' },
      { id: '2', name: 'b' },
      { id: '3', name: 'c' },
      { id: '4', name: 'd' },
      { id: '5', name: 'e' },
      { id: '6', name: null },
    ]);
  });
});

describe('a service whose rows are not as its metadata say', () => {
  let org: Organisation;
  afterEach(() => org.stop());

  /** Changes the JSON of pages of whole rows. @param number of the page, from 1 */
  function rewrite(change: (json: string, number: number) => string): void {
    const { services } = org.harness;
    const { dataverse } = services;
    let number = 0;
    async function* changed(pages: AsyncIterable<Page>): AsyncGenerator<Page> {
      for await (const page of pages) {
        const { nextLink, deltaLink, requestedAt, refused } = page;
        const { body, recordsStart, recordsEnd } = page;
        const json = body.toString('utf8', recordsStart, recordsEnd);
        const isWhole = json.includes('"modifiedon"');
        const rows = Buffer.from(`{"value":[${isWhole ? change(json, ++number) : json}]}`);
        yield { ...scanPage(rows), nextLink, deltaLink, requestedAt, refused } as Page;
      }
    }
    services.dataverse = {
      ...dataverse,
      readPages: (query, options) => changed(dataverse.readPages({ ...query, release: false }, options)),
      readByIds: (query, options) => changed(dataverse.readByIds(query, options)),
    };
  }

  it.each(['lead', 'account'])('has its values stored, and what is missing reported (%s)', async (name) => {
    org = await Organisation.start([name], {}, { DATAVERSE_PAGE_SIZE: '2' });
    const text = name === 'lead' ? 'subject' : 'name';
    const set = name === 'lead' ? 'leads' : 'accounts';
    const ids = org.rows(name, 5, (n) => ({ [text]: `row ${n}`, telephone1: `${n}` }));
    // From the second page on a column has another spelling, and the third page lacks one.
    rewrite((json, number) => {
      const renamed = number > 1 ? json.replaceAll(`"${text}":`, `"${text.toUpperCase()}":`) : json;
      return number === 3 ? renamed.replaceAll(/,"telephone1":"[^"]*"/g, '') : renamed;
    });
    const report = reportOf(await org.sync(), name);
    expect(report).toMatchObject({ state: 'merged', added: 5 });
    expect(report.reason).toMatch(/Some pages .* no row with telephone1: /);
    expect(report.reason).not.toContain(text.toUpperCase());
    const names = `SELECT ${text} AS name FROM ${set} ORDER BY 1`;
    expect((await org.query(names)).map((row) => row['name'])).toEqual(ids.map((_, n) => `row ${n}`));
    // The same for the changes that the next run reads.
    org.store.update(name, ids[0]!, { [text]: 'row 9' });
    const next = reportOf(await org.sync(), name);
    expect(next.reason).not.toMatch(/telephone1/);
    expect((await org.query(names)).at(-1)).toEqual({ name: 'row 9' });
  });

  it('is read by id, and what is missing reported', async () => {
    org = await Organisation.start(['lead', { name: 'account', filtered: true }]);
    const [id] = org.rows('account', 1, () => ({ name: 'a company', telephone1: '1' })) as [string];
    org.rows('lead', 1, () => ({ _customerid_value: { id, table: 'account' } }));
    rewrite((json) => json.replaceAll('"name":', '"Name":').replaceAll(/,"telephone1":"[^"]*"/g, ''));
    const report = reportOf(await org.sync(), 'account');
    expect(report.reason).toMatch(/No row of account .* has telephone1/);
    expect(await org.query('SELECT name, telephone1 FROM accounts')).toEqual([
      { name: 'a company', telephone1: null },
    ]);
    const warnings = org.harness.log.filter(
      ({ level, message }) => level === 'warn' && /telephone1/.test(message),
    );
    expect(warnings.length).toBeGreaterThan(0);
  });
});

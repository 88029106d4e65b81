import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type SampleDataverse, startSampleDataverse } from '../../../src/local/sample-dataverse/index.ts';
import { api, readAll, send } from './http.ts';

const rowCount = 1500;
let dataverse: SampleDataverse;
const get = (path: string, prefer?: string) => send(api(dataverse.url, path), { prefer });
const q = encodeURIComponent;

beforeAll(async () => {
  dataverse = await startSampleDataverse({ rows: rowCount });
});
afterAll(() => dataverse.stop());

describe('rows', () => {
  it('returns every row of every set once, equal to the truth', async () => {
    const document = await get('');
    let sum = 0;
    for (const { name } of document.json.value) {
      const table = dataverse.store.model.bySet(name)!;
      const { rows } = await readAll(api(dataverse.url, name), 'odata.maxpagesize=70');
      const truth = dataverse.store.truth(table.logicalName);
      expect(rows.length, name).toBe(truth.size);
      expect(new Set(rows.map((row) => row[table.primaryId])).size).toBe(truth.size);
      for (const row of rows) {
        const expected = truth.get(row[table.primaryId])!;
        expect(row['@odata.etag']).toBe(`W/"${expected['@version']}"`);
        expect(Object.keys(row).length - 1).toBe(table.columns.length);
      }
      if (!table.abstract && !['stringmaps', 'organizations'].includes(name)) sum += rows.length;
    }
    expect(sum).toBe(rowCount);
  });

  it('returns the same rows for the same seed', async () => {
    const clock = () => new Date('2026-01-01T00:00:00Z');
    const one = await startSampleDataverse({ rows: 300, seed: 4, clock });
    const two = await startSampleDataverse({ rows: 300, seed: 4, clock });
    for (const set of ['contacts', 'new_ledgerentries', 'emails']) {
      const [a, b] = await Promise.all([one, two].map((each) => readAll(api(each.url, set))));
      expect(a!.rows).toEqual(b!.rows);
    }
    await one.stop();
    await two.stop();
  });

  it('writes 64-bit integers and decimals exactly', async () => {
    const id = dataverse.store.create('new_ledgerentry', {
      new_serial: 9_007_199_254_740_993n,
      new_amount: '5000000.0000',
    });
    const { text } = await get('new_ledgerentries?$select=new_serial,new_amount,new_rate');
    dataverse.store.delete('new_ledgerentry', id);
    expect(text).toContain(`"new_ledgerentryid":"${id}","new_amount":5000000.0000,`);
    expect(text).toContain('"new_serial":9007199254740993');
    expect(text).toMatch(/"new_serial":-?\d{17,}/);
    for (const [, amount] of text.matchAll(/"new_amount":([^,}]+)/g))
      expect(amount).toMatch(/^(null|-?\d+\.\d{4})$/);
    expect(text).toMatch(/"new_rate":[\d-]+\.\d{12}/);
  });

  it('returns nulls, and the primary key even if it is not selected', async () => {
    const { json } = await get('accounts?$select=name,revenue');
    expect(json['@odata.context']).toContain('$metadata#accounts(name,revenue)');
    for (const row of json.value) {
      expect(Object.keys(row).sort()).toEqual(['@odata.etag', 'accountid', 'name', 'revenue']);
    }
    expect(json.value.some((row: { revenue: unknown }) => row.revenue === null)).toBe(true);
  });

  it('returns both ids of users and teams', async () => {
    for (const [set, id] of [
      ['systemusers', 'systemuserid'],
      ['teams', 'teamid'],
    ]) {
      const { json } = await get(set!);
      for (const row of json.value) expect(row.ownerid).toBe(row[id!]);
    }
  });

  it('returns the rows of derived tables in the set of their abstract base', async () => {
    const all = await readAll(api(dataverse.url, 'activitypointers'));
    const emails = await readAll(api(dataverse.url, 'emails'));
    const tasks = await readAll(api(dataverse.url, 'tasks'));
    expect(all.rows.length).toBe(emails.rows.length + tasks.rows.length);
  });

  it('points lookups to rows that exist', async () => {
    const accounts = new Set(dataverse.store.truth('account').keys());
    const { rows } = await readAll(
      api(dataverse.url, 'contacts?$select=_parentcustomerid_value'),
      'odata.include-annotations="Microsoft.Dynamics.CRM.lookuplogicalname"',
    );
    const name = '_parentcustomerid_value@Microsoft.Dynamics.CRM.lookuplogicalname';
    const toAccounts = rows.filter((row) => row[name] === 'account');
    expect(toAccounts.length).toBeGreaterThan(20);
    for (const row of toAccounts) expect(accounts.has(row._parentcustomerid_value)).toBe(true);
    expect(rows.some((row) => row[name] === 'contact')).toBe(true);
  });
});

describe('paging', () => {
  it('pages by primary key in the order of SQL Server, which is not text order', async () => {
    const { rows, pages } = await readAll(
      api(dataverse.url, 'contacts?$select=fullname'),
      'odata.maxpagesize=100',
    );
    const ids = rows.map((row) => row.contactid as string);
    const sqlServer = (id: string) => id.slice(24) + id.slice(19, 23);
    expect(ids).toEqual(ids.toSorted((a, b) => (sqlServer(a) < sqlServer(b) ? -1 : 1)));
    expect(ids).not.toEqual(ids.toSorted());
    expect(pages.length).toBe(Math.ceil(rows.length / 100));
    expect(pages[0]['@odata.nextLink']).toMatch(
      /\/contacts\?\$select=fullname&\$skiptoken=%3Ccookie%20pagenumber=%222%22%20pagingcookie=%22%253ccookie%2520page%253d%25221%2522%253e%253ccontactid%2520last%253d%2522%257b[0-9A-F-]{36}%257d%2522%2520first/,
    );
  });

  it('reports the applied preferences and ignores a larger page size', async () => {
    const answer = await get('contacts', 'odata.maxpagesize=10,odata.include-annotations="*"');
    expect(answer.headers.get('preference-applied')).toBe(
      'odata.maxpagesize=10,odata.include-annotations="*"',
    );
    expect(answer.json.value.length).toBe(10);
    const large = await startSampleDataverse({ rows: 6001, tables: ['account'] });
    const { json } = await send(api(large.url, 'accounts?$select=name'), {
      prefer: 'odata.maxpagesize=9999',
    });
    expect(json.value.length).toBe(5000);
    expect(json['@odata.nextLink']).toBeDefined();
    await large.stop();
  });

  it('ignores $top with a page size, and without one returns no link', async () => {
    expect((await get('contacts?$top=3', 'odata.maxpagesize=10')).json.value.length).toBe(10);
    const cut = await get('contacts?$top=3');
    expect(cut.json.value.length).toBe(3);
    expect(cut.json['@odata.nextLink']).toBeUndefined();
  });

  it('pages in another order without losing or repeating a row', async () => {
    const order = q('familystatuscode desc,createdon');
    const { rows } = await readAll(api(dataverse.url, `contacts?$orderby=${order}`), 'odata.maxpagesize=33');
    expect(new Set(rows.map((row) => row.contactid)).size).toBe(dataverse.store.count('contact'));
    const codes = rows.map((row) => row.familystatuscode ?? -1);
    expect(codes).toEqual(codes.toSorted((a, b) => b - a));
  });

  it('counts', async () => {
    const total = dataverse.store.count('contact');
    expect((await get('contacts?$count=true&$top=1')).json['@odata.count']).toBe(total);
    expect((await get('contacts/$count')).text.replace('\ufeff', '')).toBe(String(total));
  });
});

describe('filters', () => {
  const count = async (set: string, filter: string) => {
    const answer = await get(`${set}?$filter=${q(filter)}&$select=createdon`);
    expect(answer.status, answer.text).toBe(200);
    return answer.json.value.length as number;
  };

  it('compares, joins and negates with three values', async () => {
    const total = dataverse.store.count('account');
    const some = await count('accounts', 'creditonhold eq true');
    const none = await count('accounts', 'creditonhold eq null');
    expect(some).toBeGreaterThan(0);
    expect(none).toBeGreaterThan(0);
    expect(await count('accounts', 'not (creditonhold eq true)')).toBe(total - some - none);
    expect(await count('accounts', 'creditonhold ne null')).toBe(total - none);
    expect(await count('accounts', 'creditonhold eq true or creditonhold eq null')).toBe(some + none);
    expect(await count('accounts', '(numberofemployees gt 5 and numberofemployees le 5)')).toBe(0);
  });

  it('finds by text without regard to case, by wildcard and by doubled quote', async () => {
    const { json } = await get('accounts?$filter=name ne null&$top=1&$select=name,accountnumber');
    const number = json.value[0].accountnumber ?? 'A-0000001';
    expect(await count('accounts', `accountnumber eq '${number.toLowerCase()}'`)).toBeLessThanOrEqual(1);
    const prefix = await count('accounts', "startswith(accountnumber,'a-')");
    expect(prefix).toBe(await count('accounts', "contains(accountnumber,'A_0%')"));
    const id = dataverse.store.create('contact', { lastname: "O'Hara" });
    const named = [...dataverse.store.truth('contact').values()].filter(
      (row) => row['lastname'] === "O'Hara",
    );
    expect(await count('contacts', "lastname eq 'O''Hara'")).toBe(named.length);
    expect(named.length).toBeGreaterThan(0);
    dataverse.store.delete('contact', id);
  });

  it('accepts In with many ids, Between, dates, and ids with and without quotes', async () => {
    const ids = [...dataverse.store.truth('account').keys()].slice(0, 150);
    const list = JSON.stringify(ids);
    expect(
      await count('accounts', `Microsoft.Dynamics.CRM.In(PropertyName='accountid',PropertyValues=${list})`),
    ).toBe(150);
    const aliased = await get(
      `accounts?$filter=${q('Microsoft.Dynamics.CRM.In(PropertyName=@p1,PropertyValues=@p2)')}&@p1='accountid'&@p2=${q(list)}`,
    );
    expect(aliased.json.value.length).toBe(150);
    expect(await count('accounts', `accountid eq ${ids[0]}`)).toBe(1);
    expect(await count('accounts', `accountid eq '${ids[0]!.toUpperCase()}'`)).toBe(1);
    expect(
      await count(
        'accounts',
        'Microsoft.Dynamics.CRM.Between(PropertyName=\'numberofemployees\',PropertyValues=["1","500000"])',
      ),
    ).toBe(await count('accounts', 'numberofemployees ge 1 and numberofemployees le 500000'));
    const moment = '2025-01-01T00:00:00Z';
    expect(
      (await count('accounts', `modifiedon ge ${moment}`)) +
        (await count('accounts', `modifiedon lt ${moment}`)),
    ).toBe(dataverse.store.count('account'));
    const version = [...dataverse.store.truth('account').values()][3]!['@version'];
    expect(await count('accounts', `versionnumber eq ${version}`)).toBe(1);
  });

  it.each([
    ["accounts?$filter=name eq 'x", 'There is an unterminated literal at position 8'],
    [
      'accounts?$filter=Name eq 1',
      "Could not find a property named 'Name' on type 'Microsoft.Dynamics.CRM.account'.",
    ],
    ['accounts?$select=nope', "Could not find a property named 'nope'"],
    ['accounts?$orderby=nope', "Could not find a property named 'nope'"],
    ["accounts?$filter=accountid eq guid'1'", 'Syntax error'],
    [
      "accounts?$filter=Microsoft.Dynamics.CRM.In(PropertyName='name',PropertyValues=['a'])",
      'Invalid JSON. A comma character',
    ],
    ['accounts?$skip=5', '$skip is not supported'],
    ['accounts?$skiptoken=broken', 'Malformed XML in the Paging Cookie'],
  ])('rejects %s', async (path, message) => {
    const answer = await get(path);
    expect(answer.status).toBe(400);
    expect(answer.json.error.message).toContain(message);
    expect(answer.json.error.code).toMatch(/^0x/);
  });

  it('rejects too many conditions and a URL that is too long', async () => {
    const many = Array.from({ length: 501 }, (_, i) => `numberofemployees eq ${i}`).join(' or ');
    expect((await get(`accounts?$filter=${q(many)}`)).json.error.code).toBe('0x8004430C');
    const long = await get(`accounts?$filter=${q(`name eq '${'x'.repeat(33_000)}'`)}`);
    expect(long.json.error.message).toMatch(/^Invalid URI: The U/);
  });
});

describe('related rows', () => {
  it('are expanded for single-valued navigation properties', async () => {
    const expand = 'primarycontactid($select=fullname),parentaccountid';
    const { json } = await get(`accounts?$select=name&$expand=${q(expand)}`);
    const contacts = dataverse.store.truth('contact');
    let found = 0;
    for (const row of json.value) {
      if (row.primarycontactid === null) continue;
      found++;
      expect(Object.keys(row.primarycontactid).sort()).toEqual(['@odata.etag', 'contactid', 'fullname']);
      expect(row.primarycontactid.fullname).toBe(contacts.get(row.primarycontactid.contactid)!['fullname']);
    }
    expect(found).toBeGreaterThan(100);
    expect((await get('accounts?$expand=nope')).status).toBe(400);
  });
});

describe('tables with restrictions', () => {
  it('reject ordering or reading with the codes of the service', async () => {
    dataverse.store.table('new_box').rejectsOrderBy = true;
    const ordered = await get('new_boxes?$orderby=createdon');
    expect([ordered.status, ordered.json.error.code]).toEqual([400, '0x80060888']);
    expect((await get('new_boxes')).status).toBe(200);
    dataverse.store.table('new_box').rejectsReads = true;
    expect((await get('new_boxes')).json.error.code).toBe('0x80040800');
    Object.assign(dataverse.store.table('new_box'), { rejectsOrderBy: false, rejectsReads: false });
  });
});

describe('annotations', () => {
  it('are returned on request, by pattern', async () => {
    const keys = async (prefer?: string) => {
      const { json } = await get('contacts', prefer);
      const inRows = json.value.flatMap((row: object) => Object.keys(row).filter((key) => /.@/.test(key)));
      return { page: Object.keys(json), rows: [...new Set(inRows.map((key: string) => key.split('@')[1]))] };
    };
    expect((await keys()).rows).toEqual([]);
    expect((await keys('odata.include-annotations="Microsoft.Dynamics.CRM.lookuplogicalname"')).rows).toEqual(
      ['Microsoft.Dynamics.CRM.lookuplogicalname'],
    );
    const all = await keys('odata.include-annotations="*"');
    expect(all.rows.sort()).toEqual([
      'Microsoft.Dynamics.CRM.associatednavigationproperty',
      'Microsoft.Dynamics.CRM.lookuplogicalname',
      'OData.Community.Display.V1.FormattedValue',
    ]);
    expect(all.page).toContain('@Microsoft.Dynamics.CRM.globalmetadataversion');
    const some = await keys('odata.include-annotations="*,-OData.Community.Display.V1.FormattedValue"');
    expect(some.rows).not.toContain('OData.Community.Display.V1.FormattedValue');
  });
});

describe('errors', () => {
  it('are 401 without JSON if the token is missing', async () => {
    const answer = await send(api(dataverse.url, 'accounts'), { headers: { authorization: '' } });
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer authorization_uri=.*resource_id=/);
    expect(answer.json).toBeUndefined();
  });

  it('are 404 for a set name in the wrong case and for an unknown id', async () => {
    const set = await get('Accounts');
    expect([set.status, set.json.error.code]).toEqual([404, '0x8006088a']);
    const row = await get('accounts(00000000-0000-0000-0000-00000000aaaa)');
    expect([row.status, row.json.error.code]).toEqual([404, '0x80040217']);
    const [id] = dataverse.store.truth('account').keys();
    const one = await get(`accounts(${id})?$select=name`);
    expect(one.json.accountid).toBe(id);
    const number = dataverse.store.truth('account').get(id!)!['accountnumber'];
    if (number !== null) {
      expect((await get(`accounts(accountnumber='${number}')`)).json.accountid).toBe(id);
    }
  });
});

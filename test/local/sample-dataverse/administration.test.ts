import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type SampleDataverse, startSampleDataverse } from '../../../src/local/sample-dataverse/index.ts';
import { api, readAll, send } from './http.ts';

let dataverse: SampleDataverse;
const at = (path: string) => api(dataverse.url, path);
const post = (path: string, body: unknown) => send(at(path), { method: 'POST', body });
const q = encodeURIComponent;
const type = (name: string) => ({ '@odata.type': `Microsoft.Dynamics.CRM.${name}AttributeMetadata` });

beforeAll(async () => {
  dataverse = await startSampleDataverse({ rows: 1500, campaignMetrics: false });
});
afterAll(() => dataverse.stop());

describe('a table created through the Web API', () => {
  it('has columns, keys and change tracking', async () => {
    expect((await send(at('apex_campaignmetricses'))).status).toBe(404);
    const made = await post('EntityDefinitions', {
      '@odata.type': 'Microsoft.Dynamics.CRM.EntityMetadata',
      SchemaName: 'apex_CampaignMetrics',
      DisplayName: { LocalizedLabels: [{ Label: 'Campaign metrics', LanguageCode: 1033 }] },
      OwnershipType: 'UserOwned',
      Attributes: [{ ...type('String'), SchemaName: 'apex_CampaignId', MaxLength: 64, IsPrimaryName: true }],
    });
    expect(made.status).toBe(204);
    expect(made.headers.get('odata-entityid')).toMatch(/EntityDefinitions\([0-9a-f-]{36}\)$/);
    const table = "EntityDefinitions(LogicalName='apex_campaignmetrics')";
    const cost = {
      ...type('Decimal'),
      SchemaName: 'apex_CostUSD',
      Precision: 5,
      MinValue: 0,
      MaxValue: 99999.99999,
    };
    for (const attribute of [
      { ...type('String'), SchemaName: 'apex_RunId', MaxLength: 64 },
      { ...type('Integer'), SchemaName: 'apex_TokensIn' },
      { ...type('DateTime'), SchemaName: 'apex_CreatedAt', Format: 'DateAndTime' },
      cost,
    ]) {
      expect((await post(`${table}/Attributes`, attribute)).status).toBe(204);
    }
    expect((await post(`${table}/Attributes`, cost)).json.error.code).toBe('0x80047013');
    const key = { SchemaName: 'apex_Run', KeyAttributes: ['apex_campaignid', 'apex_runid'] };
    expect((await post(`${table}/Keys`, key)).status).toBe(204);
    const status = async () => (await send(at(`${table}/Keys`))).json.value[0].EntityKeyIndexStatus;
    expect([await status(), await status()]).toEqual(['Pending', 'Active']);
    expect((await send(at(table), { method: 'PUT', body: { ChangeTrackingEnabled: true } })).status).toBe(
      204,
    );
    const definition = await send(
      at(`${table}?$select=EntitySetName,SchemaName,ChangeTrackingEnabled,PrimaryNameAttribute`),
    );
    expect(definition.json).toMatchObject({
      EntitySetName: 'apex_campaignmetricses',
      SchemaName: 'apex_CampaignMetrics',
      ChangeTrackingEnabled: true,
      PrimaryNameAttribute: 'apex_campaignid',
    });
    const row = { apex_campaignid: 'c', apex_runid: 'r', apex_costusd: 1.5 };
    expect((await post('apex_campaignmetricses', row)).status).toBe(204);
    expect((await post('apex_campaignmetricses', row)).json.error.code).toBe('0x80060892');
    const read = await send(
      at("apex_campaignmetricses(apex_campaignid='c',apex_runid='r')?$select=apex_costusd,statecode"),
    );
    expect(read.text).toContain('"apex_costusd":1.50000');
    expect(read.json.statecode).toBe(0);
    expect((await post('apex_campaignmetricses', { apex_costusd: 100000 })).json.error.code).toBe(
      '0x80044330',
    );
  });
});

describe('a key over rows with equal values', () => {
  it('fails to build and is not enforced', async () => {
    const table = "EntityDefinitions(LogicalName='new_box')";
    const [one, two] = dataverse.store.truth('new_box').keys();
    for (const id of [one!, two!]) dataverse.store.update('new_box', id, { new_name: 'same' });
    await post(`${table}/Keys`, { SchemaName: 'new_NameKey', KeyAttributes: ['new_name'] });
    await send(at(`${table}/Keys`));
    expect((await send(at(`${table}/Keys`))).json.value[0].EntityKeyIndexStatus).toBe('Failed');
    expect((await post('new_boxes', { new_name: 'same' })).status).toBe(204);
  });
});

describe('privileges', () => {
  it('are reported and enforced', async () => {
    const { UserId } = (await send(at('WhoAmI'))).json;
    expect(dataverse.store.truth('systemuser').has(UserId)).toBe(true);
    const names = async () => {
      const { json } = await send(
        at(`systemusers(${UserId})/Microsoft.Dynamics.CRM.RetrieveUserPrivileges()`),
      );
      return new Map<string, string>(
        json.RolePrivileges.map((each: { PrivilegeName: string; Depth: string }) => [
          each.PrivilegeName,
          each.Depth,
        ]),
      );
    };
    expect((await names()).get('prvCreateaccount')).toBe('Global');
    dataverse.store.deniedPrivileges.add('prvCreateaccount');
    dataverse.store.deniedPrivileges.add('prvReadlead');
    dataverse.store.withoutOrganizationRead.add('contact');
    expect((await names()).has('prvCreateaccount')).toBe(false);
    expect((await names()).get('prvReadcontact')).toBe('Local');
    const refused = await post('accounts', { name: 'x' });
    expect([refused.status, refused.json.error.code]).toEqual([403, '0x80040220']);
    expect((await send(at('leads'))).status).toBe(403);
    expect((await send(at('accounts?$top=1'))).status).toBe(200);
    dataverse.store.deniedPrivileges.clear();
    dataverse.store.withoutOrganizationRead.clear();
    const one = await send(
      at(
        `systemusers(${UserId})/Microsoft.Dynamics.CRM.RetrieveUserPrivilegeByPrivilegeName(PrivilegeName='prvReadlead')`,
      ),
    );
    expect(one.json.RolePrivileges).toMatchObject([{ PrivilegeName: 'prvReadlead', Depth: 'Global' }]);
  });
});

describe('labels', () => {
  it('are in the string map in every language', async () => {
    const { rows } = await readAll(
      at('stringmaps?$select=objecttypecode,attributename,attributevalue,value,langid'),
    );
    const family = rows.filter(
      (row) => row.objecttypecode === 'contact' && row.attributename === 'familystatuscode',
    );
    expect(family.length).toBe(8);
    expect(family).toContainEqual(
      expect.objectContaining({ attributevalue: 2, value: 'Married', langid: 1033 }),
    );
    expect(family).toContainEqual(
      expect.objectContaining({ attributevalue: 2, value: 'Gift', langid: 1030 }),
    );
    expect(rows.some((row) => row.attributename === 'donotemail' && row.value === 'Yes')).toBe(true);
  });
});

describe('aggregation', () => {
  const apply = async (set: string, text: string) => (await send(at(`${set}?$apply=${q(text)}`))).json;

  it('groups, sums and counts', async () => {
    const truth = [...dataverse.store.truth('contact').values()];
    const { value } = await apply(
      'contacts',
      'groupby((familystatuscode),aggregate($count as n,numberofchildren with max as most,annualincome with sum as income))',
    );
    expect(value.length).toBe(5);
    for (const group of value) {
      const members = truth.filter((row) => row['familystatuscode'] === group.familystatuscode);
      expect(group.n).toBe(members.length);
      const income = members.reduce((sum, row) => sum + Number(row['annualincome'] ?? 0), 0);
      expect(group.income).toBeCloseTo(income, 3);
    }
    const filtered = await apply(
      'contacts',
      "filter(familystatuscode eq 2 and contains(fullname,'/'))/aggregate($count as n,createdon with min as first)",
    );
    expect(filtered.value).toEqual([{ n: 0, first: null }]);
    expect((await apply('contacts', 'compute(a as b)')).error.code).toBe('0x80060888');
  });
});

describe('files', () => {
  it('are uploaded in chunks, downloaded by range, and deleted', async () => {
    const [id] = dataverse.store.truth('account').keys();
    const data = randomBytes(10_000);
    const put = (url: string, body: Buffer, headers: Record<string, string>) =>
      fetch(url, {
        method: 'PATCH',
        body: new Uint8Array(body),
        headers: { authorization: 'Bearer x', ...headers },
      });
    const begun = await put(at(`accounts(${id})/new_contract?x-ms-file-name=a%20b.pdf`), Buffer.alloc(0), {
      'x-ms-transfer-mode': 'chunked',
    });
    const place = begun.headers.get('location')!;
    const statuses = [];
    for (const [start, end] of [
      [0, 3999],
      [0, 3999],
      [4000, 9999],
    ] as const) {
      const range = { 'content-range': `bytes ${start}-${end}/10000` };
      statuses.push((await put(place, data.subarray(start, end + 1), range)).status);
    }
    expect(statuses).toEqual([206, 206, 204]);
    expect(dataverse.files.file('account', id!, 'new_contract')).toEqual({ name: 'a b.pdf', data });
    const part = await fetch(at(`accounts(${id})/new_contract/$value`), {
      headers: { authorization: 'Bearer x', range: 'bytes=5000-99999' },
    });
    expect([part.status, part.headers.get('content-range')]).toEqual([206, 'bytes 5000-9999/10000']);
    expect(Buffer.from(await part.arrayBuffer())).toEqual(data.subarray(5000));
    const row = await send(at(`accounts(${id})?$select=new_contract,new_contract_name`));
    expect(row.json.new_contract_name).toBe('a b.pdf');
    expect((await send(at(`accounts(${id})/new_contract`), { method: 'DELETE' })).status).toBe(204);
    expect((await send(at(`accounts(${id})/new_contract/$value`))).status).toBe(404);
  });
});

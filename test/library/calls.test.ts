import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import {
  type Dataverse,
  dateOnly,
  guid,
  raw,
  reference,
  TransientError,
} from '../../src/library/dataverse.ts';
import { type SampleDataverse, startSampleDataverse } from '../../src/local/sample-dataverse/index.ts';
import { startServer } from '../dataverse/http-server.ts';
import { connect } from './sample.ts';

let sample: SampleDataverse;
let dataverse: Dataverse;

beforeAll(async () => {
  sample = await startSampleDataverse({ rows: 300 });
  dataverse = connect(sample);
});

afterEach(() => sample.faults.clear());
afterAll(() => sample.stop());

test('calls functions and actions, bound and unbound', async () => {
  const counts = await dataverse.callFunction('RetrieveTotalRecordCount', {
    EntityNames: ['account', 'contact'],
  });
  expect(counts).toMatchObject({
    EntityRecordCountCollection: { Values: [sample.store.count('account'), sample.store.count('contact')] },
  });
  const { userId, businessUnitId } = await dataverse.whoAmI();
  const users = dataverse.table('systemuser');
  const held = await users.callFunction(userId, 'RetrieveUserPrivilegeByPrivilegeName', {
    PrivilegeName: 'prvReadaccount',
  });
  expect(held).toMatchObject({ RolePrivileges: [{ PrivilegeName: 'prvReadaccount', Depth: 'Global' }] });
  expect(await dataverse.callAction('PublishXml', { ParameterXml: '<importexportxml/>' })).toBeUndefined();

  const roles = dataverse.table({ logicalName: 'role', entitySet: 'roles', primaryId: 'roleid' });
  const role = await roles.create({
    name: 'Library',
    businessunitid: reference('businessunits', businessUnitId),
  });
  const { value } = (await dataverse.request({
    path: "privileges?$filter=name%20eq%20'prvReadaccount'",
  })) as {
    value: { privilegeid: string }[];
  };
  const Privileges = [{ PrivilegeId: value[0]!.privilegeid, Depth: 'Global' }];
  await roles.callAction(role, 'AddPrivilegesRole', { Privileges });
  const granted = await dataverse.request({ path: `RetrieveRolePrivilegesRole(RoleId=${role})` });
  expect(JSON.stringify(granted)).toContain(value[0]!.privilegeid);
});

test('writes parameters of any type', async () => {
  const id = '00000000-0000-4000-8000-000000000001';
  await using server = await startServer((_, response) => response.writeHead(204).end());
  const client = connect(server);
  await client.callFunction('Sample', {
    Text: "O'Brien & Söhne",
    Number: 1.5,
    Yes: true,
    Nothing: null,
    Id: guid(id),
    Day: dateOnly('2024-05-01'),
    Moment: new Date('2024-05-01T12:00:00Z'),
    Row: reference('accounts', id),
    List: [1, 'a'],
    Kind: raw("Microsoft.Dynamics.CRM.EntityFilters'Entity'"),
  });
  const { url } = server.requests[0]!;
  const [path, query] = url.split('?');
  expect(path).toMatch(/\/Sample\(Text=@p1,Number=@p2,.*,Kind=@p10\)$/);
  expect([...new URLSearchParams(query).values()]).toEqual([
    "'O''Brien & Söhne'",
    '1.5',
    'true',
    'null',
    id,
    '2024-05-01',
    '2024-05-01T12:00:00Z',
    `{"@odata.id":"accounts(${id})"}`,
    '[1,"a"]',
    "Microsoft.Dynamics.CRM.EntityFilters'Entity'",
  ]);
  await client
    .table({ logicalName: 'a', entitySet: 'as', primaryId: 'aid' })
    .callAction(id, 'Do', { To: reference('accounts', id) });
  expect(server.requests[1]).toMatchObject({
    url: `/api/data/v9.2/as(${id})/Microsoft.Dynamics.CRM.Do`,
    body: `{"To":{"@odata.id":"accounts(${id})"}}`,
  });
});

test('repeats a function, but no action that may have run', async () => {
  sample.faults.add({ kind: 'reset', match: /WhoAmI/, times: 1 });
  expect((await dataverse.whoAmI()).userId).toMatch(/^[0-9a-f-]{36}$/);
  sample.faults.add({ kind: 'commit-then-reset', match: /PublishAllXml/, times: 1 });
  const error = await dataverse.callAction('PublishAllXml').catch((caught) => caught);
  expect(error).toBeInstanceOf(TransientError);
  expect(error.maybeExecuted).toBe(true);
});

test('keeps raw requests on the environment', async () => {
  await using server = await startServer((_, response) => response.writeHead(204).end());
  const client = connect(server);
  await client.request({ path: 'https://elsewhere.example/x' });
  await client.request({ path: '//elsewhere.example/x' });
  expect(server.requests.map(({ url }) => url)).toEqual([
    '/api/data/v9.2/./https://elsewhere.example/x',
    '/api/data/v9.2/elsewhere.example/x',
  ]);
});

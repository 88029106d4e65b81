import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  ConcurrencyError,
  type Dataverse,
  DataverseError,
  DuplicateError,
  defineTable,
  etagOf,
  exactNumber,
  NotFoundError,
  noReference,
  RequestError,
  reference,
  type Table,
  UsageError,
} from '../../src/library/dataverse.ts';
import { type SampleDataverse, startSampleDataverse } from '../../src/local/sample-dataverse/index.ts';
import { connect } from './sample.ts';

let sample: SampleDataverse;
let dataverse: Dataverse;
let accounts: Table;
let contacts: Table;

beforeAll(async () => {
  sample = await startSampleDataverse({ rows: 300 });
  dataverse = connect(sample);
  accounts = dataverse.table('account');
  contacts = dataverse.table('contact');
});

afterAll(() => sample.stop());

const nowhere = '00000000-0000-4000-8000-00000000dead';

test('creates a row and returns its id or the columns that were asked for', async () => {
  const id = await accounts.create({
    name: 'Contoso',
    revenue: exactNumber('12.3400'),
    numberofemployees: 7n,
  });
  expect(sample.store.truth('account').get(id)).toMatchObject({ name: 'Contoso', revenue: '12.3400' });
  const row = await accounts.create({ name: 'Fabrikam' }, { returning: ['name'] });
  expect(row).toEqual({ accountid: expect.any(String), name: 'Fabrikam', '@odata.etag': expect.any(String) });
});

test('reads a row, also related ones and labels, and undefined for a row that does not exist', async () => {
  const contact = await contacts.create({ lastname: 'Lovelace', firstname: 'Ada' });
  const id = await accounts.create({ name: 'Engines', primarycontactid: reference('contacts', contact) });
  const row = await accounts.retrieve(id, {
    select: ['name', 'statecode'],
    expand: { primarycontactid: (related) => related.select('lastname') },
    formatted: true,
  });
  expect(row).toMatchObject({
    name: 'Engines',
    'statecode@OData.Community.Display.V1.FormattedValue': 'Active',
    primarycontactid: { lastname: 'Lovelace' },
  });
  expect(row).not.toHaveProperty(['@odata.context']);
  expect(await accounts.retrieve(nowhere)).toBeUndefined();
});

test('reads a row again only if it changed', async () => {
  const id = await accounts.create({ name: 'Same' });
  const known = await accounts.retrieve(id, { select: ['name'] });
  expect(await accounts.retrieve(id, { select: ['name'], known })).toBe(known);
  await accounts.update(id, { name: 'Other' });
  expect(await accounts.retrieve(id, { select: ['name'], known })).toMatchObject({ name: 'Other' });
});

test('updates a row, never creates one, and returns columns', async () => {
  const id = await accounts.create({ name: 'Before' });
  expect(await accounts.update(id, { name: 'After' })).toBeUndefined();
  expect(await accounts.update(id, { name: 'Again' }, { returning: ['name'] })).toMatchObject({
    name: 'Again',
  });
  const error = await accounts.update(nowhere, { name: 'x' }).catch((caught) => caught);
  expect(error).toBeInstanceOf(NotFoundError);
  expect(error).toMatchObject({ status: 404, code: '0x80040217', maybeExecuted: false, isTransient: false });
  expect(error.requestId).toMatch(/^[\w-]{36}$/);
  expect(sample.store.truth('account').has(nowhere)).toBe(false);
});

test('updates and deletes only the version that was read', async () => {
  const id = await accounts.create({ name: 'One' });
  const read = (await accounts.retrieve(id, { select: ['name'] }))!;
  await accounts.update(id, { name: 'Two' }, { etag: etagOf(read) });
  await expect(accounts.update(id, { name: 'Three' }, { etag: etagOf(read) })).rejects.toThrow(
    ConcurrencyError,
  );
  await expect(accounts.delete(id, { etag: etagOf(read) })).rejects.toThrow(ConcurrencyError);
  expect(sample.store.truth('account').get(id)).toMatchObject({ name: 'Two' });
  expect(await accounts.delete(id)).toBe(true);
  expect(await accounts.delete(id)).toBe(false);
});

test('upserts by id and by alternate key, in three modes', async () => {
  const id = '00000000-0000-4000-8000-0000000000a1';
  expect(await accounts.upsert(id, { name: 'New' }, { mode: 'create' })).toMatchObject({ id, created: true });
  await expect(accounts.upsert(id, { name: 'x' }, { mode: 'create' })).rejects.toThrow(DuplicateError);
  expect(await accounts.upsert(id, { name: 'Old' }, { mode: 'update' })).toMatchObject({ created: false });
  await expect(accounts.upsert(nowhere, { name: 'x' }, { mode: 'update' })).rejects.toThrow(NotFoundError);
  const metrics = dataverse.table('apex_campaignmetrics');
  const { alternateKeys } = sample.store.table('apex_campaignmetrics');
  const key = Object.fromEntries(alternateKeys[0]!.columns.map((name) => [name, `O'Brien ${name}`]));
  const first = await metrics.upsert(key, { apex_tokensin: 1 }, { returning: ['apex_tokensin'] });
  expect(first).toMatchObject({ created: true, row: { apex_tokensin: 1 } });
  const second = await metrics.upsert(key, { apex_tokensin: 2 }, { returning: ['apex_tokensin'] });
  expect(second).toMatchObject({ created: false, row: { apex_tokensin: 2 } });
  expect(await metrics.retrieve(key, { select: ['apex_tokensin'] })).toMatchObject({ apex_tokensin: 2 });
});

test('sets lookups from references, clears them, and creates related rows with a row', async () => {
  const account = await accounts.create({ name: 'Target' });
  const id = await contacts.create({
    lastname: 'A',
    parentcustomerid_account: reference('accounts', account),
  });
  const lookup = async () => sample.store.truth('contact').get(id)!['_parentcustomerid_value'];
  expect(await lookup()).toMatchObject({ id: account, table: 'account' });
  await contacts.update(id, { parentcustomerid_account: noReference });
  expect(await lookup()).toBeNull();
});

test('connects and disconnects rows through lookups and collections', async () => {
  const account = await accounts.create({ name: 'Linked' });
  const contact = await contacts.create({ lastname: 'Linked' });
  await contacts.setLookup(contact, 'parentcustomerid_account', reference('accounts', account));
  expect(sample.store.truth('contact').get(contact)).toMatchObject({
    _parentcustomerid_value: { id: account },
  });
  await contacts.clearLookup(contact, 'parentcustomerid_account');
  expect(sample.store.truth('contact').get(contact)!['_parentcustomerid_value']).toBeNull();

  await accounts.associate(account, 'contact_parentcustomerid_account', reference('contacts', contact));
  expect(sample.store.truth('contact').get(contact)).toMatchObject({
    _parentcustomerid_value: { id: account },
  });

  const link = [...sample.store.model.tables.values()].find(({ intersect }) => intersect !== undefined)!;
  const [one, two] = link.intersect!.ends;
  const table = dataverse.table(one.table);
  const [first] = sample.store.truth(one.table).keys();
  const other = sample.store.model.tables.get(two.table)!;
  const unlinked = sample.store.create(two.table);
  const target = reference(other.entitySetName!, unlinked);
  await table.associate(first!, one.navigation, target);
  // A second time is not an error: the connection may be the work of an attempt without a response.
  await table.associate(first!, one.navigation, target);
  expect(sample.store.findLink(link.logicalName, first!, unlinked)).toBeDefined();
  await table.disassociate(first!, one.navigation, target);
  expect(sample.store.findLink(link.logicalName, first!, unlinked)).toBeUndefined();
});

test('asks Dataverse for the names of a table once, and not at all with a definition', async () => {
  const client = connect(sample);
  const table = client.table('account');
  await table.query().top(1).toArray();
  await client.table('account').query().top(1).toArray();
  expect(client.stats.requests).toBe(3);
  const defined = connect(sample);
  const names = { logicalName: 'account', entitySet: 'accounts', primaryId: 'accountid' };
  await defined.table(defineTable(names)).query().top(1).toArray();
  expect(defined.stats.requests).toBe(1);
  await expect(client.table('nothing').retrieve(nowhere)).rejects.toMatchObject({
    name: 'NotFoundError',
    operation: 'read the definition of nothing',
  });
});

test('rejects a create that duplicate detection finds, if it is asked to', async () => {
  await accounts.create({ name: 'Twice' });
  await accounts.create({ name: 'Twice' });
  const error = await accounts
    .create({ name: 'Twice' }, { detectDuplicates: true })
    .catch((caught) => caught);
  expect(error).toBeInstanceOf(DuplicateError);
  expect(error.code).toBe('0x80040333');
});

test('says what is wrong with values and arguments', async () => {
  const error = await accounts.create({ nmae: 'x' }).catch((caught) => caught);
  expect(error).toBeInstanceOf(RequestError);
  expect(error).toBeInstanceOf(DataverseError);
  expect(error.serverMessage).toContain("'nmae'");
  const before = dataverse.stats.requests;
  await expect(accounts.retrieve("1' or '1")).rejects.toThrow(UsageError);
  await expect(accounts.retrieve(nowhere, { select: ['name,revenue'] })).rejects.toThrow(UsageError);
  expect(dataverse.stats.requests).toBe(before);
  expect(() => connect({ url: 'http://contoso.crm.dynamics.com' })).toThrow(UsageError);
});

test('reads the row of a create with an id of its own whose response was lost', async () => {
  const own = '00000000-0000-4000-8000-00000000abcd';
  sample.faults.add({ kind: 'commit-then-reset', match: /accounts/, times: 1 });
  const row = await accounts.create({ accountid: own, name: 'Once' }, { returning: ['name'] });
  expect(row).toMatchObject({ accountid: own, name: 'Once' });
});

test('leaves the lookup of a row alone that is in the collection of another', async () => {
  const [a, b] = (await accounts.createMany([{ name: 'a' }, { name: 'b' }])).valuesOrThrow();
  const contacts = dataverse.table('contact');
  const child = await contacts.create({ lastname: 'x', parentcustomerid_account: reference('accounts', a!) });
  await accounts.disassociate(b!, 'contact_parentcustomerid_account', reference('contacts', child));
  expect(sample.store.truth('contact').get(child)).toMatchObject({ _parentcustomerid_value: { id: a } });
});

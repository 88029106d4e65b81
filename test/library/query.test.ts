import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import {
  column,
  type Dataverse,
  DataverseError,
  escapeXml,
  formattedValue,
  guid,
  literalText,
  lookupTable,
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
  sample = await startSampleDataverse({ rows: 1500 });
  dataverse = connect(sample);
  accounts = dataverse.table('account');
  contacts = dataverse.table('contact');
  await Promise.all([accounts.definition(), contacts.definition()]);
  const parent = await accounts.create({ name: "O'Brien & Söhne 50%", revenue: 1000, numberofemployees: 5 });
  for (const [lastname, firstname] of [
    ['Lovelace', 'Ada'],
    ['Babbage', 'Charles'],
    ['Byron', 'George'],
  ]) {
    await contacts.create({ lastname, firstname, parentcustomerid_account: reference('accounts', parent) });
  }
});

afterEach(() => sample.faults.clear());
afterAll(() => sample.stop());

const name = "O'Brien & Söhne 50%";

test('reads all rows in pages of the size that is asked for', async () => {
  const ids = new Set<unknown>();
  const numbers: number[] = [];
  for await (const page of contacts.query().select('contactid').pageSize(100).pages()) {
    numbers.push(page.number);
    expect(page.rows.length).toBeLessThanOrEqual(100);
    for (const row of page.rows) ids.add(row['contactid']);
  }
  expect(ids).toEqual(new Set(sample.store.truth('contact').keys()));
  expect(numbers).toEqual(Array.from({ length: Math.ceil(ids.size / 100) }, (_, index) => index + 1));
});

test('filters with any value, and combines calls', async () => {
  const [row] = await accounts
    .query()
    .select('name')
    .where((f) => f.eq('name', name))
    .toArray();
  expect(row).toMatchObject({ name });
  const found = (query: ReturnType<typeof accounts.query>) => query.count();
  const own = accounts.query().where((f) => f.eq('accountid', String(row!['accountid'])));
  expect(await found(own)).toBe(1);
  expect(await found(own.where((f) => f.contains('name', literalText('50%'))))).toBe(1);
  expect(await found(own.where((f) => f.contains('name', literalText('50_'))))).toBe(0);
  expect(await found(own.where((f) => f.in('name', ['x', name])))).toBe(1);
  expect(await found(own.where((f) => f.notIn('name', [name])))).toBe(0);
  expect(await found(own.where((f) => f.between('numberofemployees', 4, 6)))).toBe(1);
  expect(await found(own.where((f) => f.gt('modifiedon', new Date(0))))).toBe(1);
  expect(await found(own.where((f) => f.le('createdon', column('modifiedon'))))).toBe(1);
  expect(await found(own.where("name eq 'x' or revenue eq 1000"))).toBe(1);
  expect(await found(own.where((f) => f.not(f.startsWith('name', "O'"))))).toBe(0);
});

test('filters by related rows', async () => {
  const found = await contacts
    .query()
    .select('lastname')
    .where((f) => f.eq('parentcustomerid_account/name', name))
    .orderBy('lastname', 'desc')
    .toArray();
  expect(found.map((row) => row['lastname'])).toEqual(['Lovelace', 'Byron', 'Babbage']);
  const children = 'contact_parentcustomerid_account';
  const withChild = (lastname: string) =>
    accounts
      .query()
      .where((f) => f.any(children, (o) => o.eq('lastname', lastname)))
      .first();
  expect(await withChild('Lovelace')).toMatchObject({ name });
  expect(await withChild("Nobody's")).toBeUndefined();
  expect(
    await accounts
      .query()
      .where((f) =>
        f.and(
          f.eq('name', name),
          f.all(children, (o) => o.isNotNull('firstname')),
        ),
      )
      .count(),
  ).toBe(1);
});

test('reads related rows with options of their own', async () => {
  const children = 'contact_parentcustomerid_account';
  const row = await accounts
    .query()
    .select('name')
    .where((f) => f.eq('name', name))
    .expand(children, (related) =>
      related
        .select('lastname')
        .where((f) => f.startsWith('lastname', 'B'))
        .orderBy('lastname')
        .top(2)
        .expand('parentcustomerid_account', (parent) => parent.select('name')),
    )
    .first();
  expect(row![children]).toMatchObject([
    { lastname: 'Babbage', parentcustomerid_account: { name } },
    { lastname: 'Byron', parentcustomerid_account: { name } },
  ]);
});

test('shows labels and the tables of lookups', async () => {
  const row = await contacts
    .query()
    .select('statecode', '_parentcustomerid_value')
    .where((f) => f.eq('lastname', 'Lovelace'))
    .withFormattedValues()
    .first();
  expect(formattedValue(row!, 'statecode')).toBe('Active');
  expect(formattedValue(row!, '_parentcustomerid_value')).toBe(name);
  expect(lookupTable(row!, '_parentcustomerid_value')).toBe('account');
  expect(formattedValue(row!, 'lastname')).toBeUndefined();
});

test('counts exactly, also more rows than Dataverse counts', async () => {
  const big = await startSampleDataverse({ rows: 5400, tables: ['contact'] });
  try {
    const table = connect(big).table('contact');
    expect(big.store.count('contact')).toBeGreaterThan(5000);
    expect(await table.query().count()).toBe(big.store.count('contact'));
    const some = await table.query().select('contactid').top(5100).toArray();
    expect(new Set(some.map((row) => row['contactid'])).size).toBe(5100);
    for await (const page of table.query().select('contactid').withCount().pages()) {
      expect(page.count).toBe(page.number === 1 ? 5000 : page.count);
    }
  } finally {
    await big.stop();
  }
});

test('aggregates in Dataverse', async () => {
  const [whole] = await accounts.aggregate<{ rows: number; total: number }>({
    where: (f) => f.eq('name', name),
    values: { rows: 'count', total: ['revenue', 'sum'] },
  });
  expect(whole).toMatchObject({ rows: 1, total: 1000 });
  const groups = await accounts.aggregate<{ statecode: number; rows: number }>({
    groupBy: ['statecode'],
    values: { rows: 'count' },
  });
  expect(groups.reduce((sum, { rows }) => sum + rows, 0)).toBe(sample.store.count('account'));
  await expect(accounts.aggregate({})).rejects.toThrow(UsageError);
});

test('reads FetchXML in pages, with the cookie of the page before', async () => {
  const xml = `<fetch count='50' mapping="logical"><entity name="contact"><attribute name="lastname"/>
    <order attribute="lastname"/></entity></fetch>`;
  const before = dataverse.stats.requests;
  const ids = new Set<unknown>();
  let pages = 0;
  for await (const { rows } of contacts.fetchXml(xml).pages()) {
    pages += 1;
    for (const row of rows) ids.add(row['contactid']);
  }
  expect(ids).toEqual(new Set(sample.store.truth('contact').keys()));
  expect(pages).toBe(Math.ceil(ids.size / 50));
  expect(dataverse.stats.requests - before).toBe(pages);
  const condition = `<condition attribute="name" operator="eq" value="${escapeXml(name)}"/>`;
  const one = `<fetch top="1"><entity name="account"><all-attributes/><filter>${condition}</filter></entity></fetch>`;
  expect(await accounts.fetchXml(one, { formatted: true }).toArray()).toMatchObject([{ name }]);
  const sum = `<fetch aggregate="true"><entity name="account"><attribute name="statecode" groupby="true" alias="state"/>
    <attribute name="accountid" aggregate="count" alias="rows"/></entity></fetch>`;
  const groups = await accounts.fetchXml<{ rows: number; state: number }>(sum).toArray();
  expect(groups.reduce((total, { rows }) => total + rows, 0)).toBe(sample.store.count('account'));
});

test('reads changes: all rows first, then what happened since', async () => {
  const first = accounts.changes({ select: ['name'], pageSize: 100 });
  expect(() => first.token).toThrow(UsageError);
  const ids = new Set<unknown>();
  for await (const change of first) if (change.kind === 'upserted') ids.add(change.row['accountid']);
  expect(ids).toEqual(new Set(sample.store.truth('account').keys()));
  const added = await accounts.create({ name: 'added' });
  await accounts.delete(added);
  const kept = await accounts.create({ name: 'kept' });
  const next = accounts.changes({ since: first.token });
  const changes = [];
  for await (const change of next) changes.push(change);
  expect(changes).toMatchObject([
    { kind: 'upserted', row: { accountid: kept, name: 'kept' } },
    { kind: 'deleted', id: added },
  ]);
  expect(next.token).not.toBe(first.token);
  sample.faults.add({ kind: 'expired-token' });
  const expired = accounts.changes({ since: next.token }).pages().next();
  await expect(expired).rejects.toMatchObject({ name: 'ChangeTrackingError', reason: 'expired' });
});

test.each(['foreign-nextlink', 'repeat-nextlink'] as const)('follows no %s', async (kind) => {
  sample.faults.add({ kind, times: 5 });
  const error = await contacts
    .query()
    .pageSize(50)
    .toArray()
    .catch((caught) => caught);
  expect(error).toBeInstanceOf(DataverseError);
  expect(error.message).toMatch(/away from|followed before/);
});

test('drops nothing that a query asks for', async () => {
  sample.store.table('contact').rejectsOrderBy = true;
  await expect(contacts.query().orderBy('lastname').toArray()).rejects.toMatchObject({ status: 400 });
  sample.store.table('contact').rejectsOrderBy = false;
});

test('refuses options that are not one', () => {
  expect(() => contacts.query().top(0)).toThrow(UsageError);
  expect(() => contacts.query().pageSize(1.5)).toThrow(UsageError);
  expect(() => contacts.query().orderBy('lastname desc,x')).toThrow(UsageError);
  expect(() => contacts.query().orderBy('lastname', 'down' as 'asc')).toThrow(UsageError);
});

test('sends a read in a batch whose URL is too long, page by page', async () => {
  const ids = [...sample.store.truth('contact').keys()];
  const fillers = Array.from({ length: 900 }, () => crypto.randomUUID());
  const values = [...ids.slice(0, 120), ...fillers].map((id) => guid(id));
  const found = await contacts
    .query()
    .select('contactid')
    .where((f) => f.in('contactid', values))
    .pageSize(50)
    .toArray();
  expect(new Set(found.map((row) => row['contactid']))).toEqual(new Set(ids.slice(0, 120)));
  const wrong = contacts.query().where((f) => f.and(f.in('contactid', values), f.eq('nothing', 1)));
  await expect(wrong.toArray()).rejects.toMatchObject({ name: 'RequestError', status: 400 });
  const twice = contacts.query().where((f) => f.and(f.in('contactid', values), f.notIn('contactid', values)));
  await expect(twice.toArray()).rejects.toThrow(UsageError);
});

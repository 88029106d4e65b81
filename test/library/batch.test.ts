import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  changeSet,
  type Dataverse,
  etagOf,
  NotFoundError,
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
  await Promise.all([accounts.definition(), contacts.definition()]);
});

afterAll(() => sample.stop());

const nowhere = '00000000-0000-4000-8000-00000000dead';

test('sends operations in one request, with a typed outcome for each', async () => {
  const id = await accounts.create({ name: 'Batch' });
  const before = dataverse.stats.requests;
  const [read, updated, missing, deleted] = await dataverse.batch(
    [
      accounts.prepare.retrieve(id, { select: ['name'] }),
      accounts.prepare.update(id, { name: "O'Brien" }),
      accounts.prepare.retrieve(nowhere),
      accounts.prepare.delete(nowhere),
    ],
    { continueOnError: true },
  );
  expect(dataverse.stats.requests).toBe(before + 1);
  expect(read).toMatchObject({ status: 'fulfilled', value: { name: 'Batch', accountid: id } });
  expect(updated).toEqual({ status: 'fulfilled', value: undefined });
  expect(missing).toEqual({ status: 'fulfilled', value: undefined });
  expect(deleted).toEqual({ status: 'fulfilled', value: false });
  expect(sample.store.truth('account').get(id)).toMatchObject({ name: "O'Brien" });
});

test('ends at the first failure, unless it is told to continue', async () => {
  const operations = () => [
    accounts.prepare.create({ name: 'first' }),
    accounts.prepare.update(nowhere, { name: 'x' }),
    accounts.prepare.create({ name: 'third' }),
  ];
  const ended = await dataverse.batch(operations());
  expect(ended.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'skipped']);
  const all = await dataverse.batch(operations(), { continueOnError: true });
  expect(all.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect(all[1]).toMatchObject({ reason: expect.any(NotFoundError) });
});

test('writes a change set whole or not at all, with references between its rows', async () => {
  const account = accounts.prepare.create({ name: 'Parent' });
  const contact = contacts.prepare.create({ lastname: 'Child', parentcustomerid_account: account });
  const [[parent, child]] = await dataverse.batch([changeSet(account, contact)]);
  if (parent.status !== 'fulfilled' || child.status !== 'fulfilled') throw new Error('not written');
  expect(sample.store.truth('contact').get(child.value)).toMatchObject({
    _parentcustomerid_value: { id: parent.value, table: 'account' },
  });
  const count = sample.store.count('account');
  const [failed] = await dataverse.batch([
    changeSet(accounts.prepare.create({ name: 'rolled back' }), accounts.prepare.create({ nothing: 1 })),
  ]);
  expect(failed).toMatchObject([
    { status: 'rejected', reason: expect.any(RequestError) },
    { status: 'rejected', reason: expect.any(RequestError) },
  ]);
  expect(sample.store.count('account')).toBe(count);
});

test('refuses references to rows of another request', async () => {
  const account = accounts.prepare.create({ name: 'Parent' });
  const contact = contacts.prepare.create({ lastname: 'Child', parentcustomerid_account: account });
  await expect(dataverse.batch([changeSet(contact, account)])).rejects.toThrow(UsageError);
  await expect(dataverse.batch([account, contact])).rejects.toThrow(UsageError);
  await expect(contacts.create({ lastname: 'x', parentcustomerid_account: account })).rejects.toThrow(
    UsageError,
  );
});

test('impersonates in every part of a batch', async () => {
  const [, user] = [...sample.store.truth('systemuser').keys()];
  const [created] = await dataverse
    .with({ callerId: user! })
    .batch([accounts.prepare.create({ name: 'for' })]);
  if (created.status !== 'fulfilled') throw created;
  expect(sample.store.truth('account').get(created.value)).toMatchObject({ _createdby_value: { id: user } });
});

test('connects rows that the same change set creates', async () => {
  const account = accounts.prepare.create({ name: 'Team' });
  const contact = contacts.prepare.create({ lastname: 'Member' });
  const link = accounts.prepare.associate(account, 'contact_parentcustomerid_account', contact);
  const [[parent, child, linked]] = await dataverse.batch([changeSet(account, contact, link)]);
  expect(linked).toEqual({ status: 'fulfilled', value: undefined });
  if (parent.status !== 'fulfilled' || child.status !== 'fulfilled') throw new Error('not written');
  const lookup = () => sample.store.truth('contact').get(child.value)!['_parentcustomerid_value'];
  expect(lookup()).toMatchObject({ id: parent.value });
  const target = reference('contacts', child.value);
  await dataverse.batch([
    accounts.prepare.disassociate(parent.value, 'contact_parentcustomerid_account', target),
  ]);
  expect(lookup()).toBeNull();
});

test('repeats a batch only if that does no harm', async () => {
  const id = await accounts.create({ name: 'Once' });
  const read = await accounts.retrieve(id, { select: ['name'] });
  sample.faults.add({ kind: 'commit-then-reset', match: /\$batch/, times: 1 });
  const [updated] = await dataverse.batch([accounts.prepare.update(id, { name: 'Twice' })]);
  expect(updated.status).toBe('fulfilled');
  for (const operation of [
    accounts.prepare.create({ name: 'x' }),
    // Its own first attempt would have changed the version.
    accounts.prepare.update(id, { name: 'x' }, { etag: etagOf(read!) }),
    accounts.prepare.upsert(id, { name: 'x' }, { mode: 'create' }),
  ]) {
    sample.faults.add({ kind: 'commit-then-reset', match: /\$batch/, times: 1 });
    await expect(dataverse.batch([operation])).rejects.toMatchObject({ maybeExecuted: true });
  }
});

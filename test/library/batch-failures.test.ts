import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { changeSet, type Dataverse, type Operation, type Table } from '../../src/library/dataverse.ts';
import { type SampleDataverse, startSampleDataverse } from '../../src/local/sample-dataverse/index.ts';
import { connect } from './sample.ts';

let sample: SampleDataverse;
let dataverse: Dataverse;
let accounts: Table;

beforeAll(async () => {
  sample = await startSampleDataverse({ rows: 300 });
  dataverse = connect(sample);
  accounts = dataverse.table('account');
  await accounts.definition();
});

afterEach(() => sample.faults.clear());
afterAll(() => sample.stop());

const nowhere = '00000000-0000-4000-8000-00000000dead';
const statuses = (outcomes: readonly { status: string }[]) => outcomes.map(({ status }) => status);
const truth = () => sample.store.truth('account');

test('rejects every operation of a failed change set, also those to which a missing row is a result', async () => {
  const id = await accounts.create({ name: 'Kept' });
  const [outcomes] = await dataverse.batch([
    changeSet(accounts.prepare.delete(id), accounts.prepare.update(nowhere, { name: 'x' })),
  ]);
  expect(statuses(outcomes)).toEqual(['rejected', 'rejected']);
  expect(outcomes[0]).toMatchObject({ reason: { name: 'NotFoundError' } });
  expect(truth().has(id)).toBe(true);
});

test('rejects a missing row that ends a batch', async () => {
  const operations = () => [accounts.prepare.retrieve(nowhere), accounts.prepare.create({ name: 'after' })];
  expect(statuses(await dataverse.batch(operations()))).toEqual(['rejected', 'skipped']);
  const all = await dataverse.batch(operations(), { continueOnError: true });
  expect(statuses(all)).toEqual(['fulfilled', 'fulfilled']);
  // Nothing is left out behind the last one.
  const [last] = await dataverse.batch([accounts.prepare.retrieve(nowhere)]);
  expect(last).toEqual({ status: 'fulfilled', value: undefined });
});

test('does not repeat a batch in which a repeated delete would fail something else', async () => {
  const [a, b] = (await accounts.createMany([{ name: 'a' }, { name: 'b' }])).valuesOrThrow();
  const lost = () => sample.faults.add({ kind: 'commit-then-reset', match: /\$batch/, times: 1 });
  const remove = accounts.prepare.delete(a!);
  const update = accounts.prepare.update(b!, { name: 'B' });
  const maybeExecuted = { maybeExecuted: true };
  lost();
  await expect(dataverse.batch([remove, update])).rejects.toMatchObject(maybeExecuted);
  expect(truth().get(b!)).toMatchObject({ name: 'B' });
  lost();
  await expect(dataverse.batch([changeSet(remove, update)])).rejects.toMatchObject(maybeExecuted);
  lost();
  const both = [accounts.prepare.update(b!, { name: 'C' }), accounts.prepare.delete(b!)];
  await expect(dataverse.batch(both, { continueOnError: true })).rejects.toMatchObject(maybeExecuted);
});

test('repeats deletes that continue on error', async () => {
  const [a, b] = (await accounts.createMany([{ name: 'a' }, { name: 'b' }])).valuesOrThrow();
  sample.faults.add({ kind: 'commit-then-reset', match: /\$batch/, times: 1 });
  const outcomes = await dataverse.batch(
    [accounts.prepare.delete(a!), accounts.prepare.update(b!, { name: 'B' })],
    { continueOnError: true },
  );
  expect(statuses(outcomes)).toEqual(['fulfilled', 'fulfilled']);
  expect(outcomes[0]).toMatchObject({ value: true });
  expect(truth().has(a!)).toBe(false);
});

test('a delete that is repeated after a lost answer is done, also alone in its change set', async () => {
  const lost = () => sample.faults.add({ kind: 'commit-then-reset', match: /\$batch/, times: 1 });
  for (const wrap of [(one: Operation<boolean>) => one, (one: Operation<boolean>) => changeSet(one)]) {
    const id = await accounts.create({ name: 'a' });
    lost();
    const [outcome] = await dataverse.batch([wrap(accounts.prepare.delete(id))]);
    const [first] = Array.isArray(outcome) ? outcome : [outcome];
    expect(first).toEqual({ status: 'fulfilled', value: true });
    expect(truth().has(id)).toBe(false);
    // Without a lost answer, the row was not there.
    const [again] = await dataverse.batch([wrap(accounts.prepare.delete(id))]);
    const [second] = Array.isArray(again) ? again : [again];
    expect(second).not.toMatchObject({ value: true });
  }
});

import { afterAll, beforeAll, expect, it } from 'vitest';
import { changeSet, defineTable, type FilterInput, reference } from '../../src/library/dataverse.ts';
import { type SampleDataverse, startSampleDataverse } from '../../src/local/sample-dataverse/index.ts';
import { startServer } from '../dataverse/http-server.ts';
import { connect } from './sample.ts';

let server: SampleDataverse;
let id: string;
/** More digits than a double has, and zeros at the end. */
const amount = '1234567890123.4500';

interface Entry {
  new_ledgerentryid: string;
  new_amount: string | null;
  new_ratio: number | null;
  new_small: number | null;
  /** An integer of 64 bits. */
  new_serial: string | null;
}
const definition = defineTable<Entry>({
  logicalName: 'new_ledgerentry',
  entitySet: 'new_ledgerentries',
  primaryId: 'new_ledgerentryid',
  decimals: ['new_amount', 'new_serial'],
});

beforeAll(async () => {
  server = await startSampleDataverse({ rows: 50 });
  const values = { new_amount: amount, new_ratio: 0.25, new_small: 30, new_serial: '9007199254740993' };
  id = await connect(server).table(definition).create(values);
});
afterAll(() => server.stop());

const of = (row: Record<string, unknown> | Entry | undefined) => {
  const { new_amount, new_ratio, new_small } = row as unknown as Entry;
  return [new_amount, new_ratio, new_small];
};

it('gives decimals as texts where a definition or an option says so', async () => {
  const dataverse = connect(server);
  const select = ['new_amount', 'new_ratio', 'new_small'] as const;
  const plain = dataverse.table('new_ledgerentry');
  const exact = connect(server, { decimals: 'text' }).table('new_ledgerentry');
  const typed = dataverse.table(definition);

  expect(of(await plain.retrieve(id, { select }))).toEqual([Number(amount), 0.25, 30]);
  expect(of(await exact.retrieve(id, { select }))).toEqual([amount, '0.25', 30]);
  expect(of(await typed.retrieve(id, { select }))).toEqual([amount, 0.25, 30]);
  expect(of(await typed.retrieve(id, { select, decimals: 'real' }))).toEqual([Number(amount), 0.25, 30]);
  expect(of(await plain.retrieve(id, { select, decimals: 'text' }))).toEqual([amount, '0.25', 30]);

  const query = typed
    .query()
    .select(...select)
    .where((f) => f.eq('new_ledgerentryid', id));
  expect(of(await query.first())).toEqual([amount, 0.25, 30]);
  const text: string | null | undefined = (await query.first())?.new_amount;
  expect(text).toBe(amount);
  expect((await query.with({ decimals: 'real' }).first())?.new_amount).toBe(Number(amount));

  expect((await typed.retrieve(id, { select: ['new_serial'] }))?.new_serial).toBe('9007199254740993');
  expect((await exact.retrieve(id, { select: ['new_serial'] }))?.['new_serial']).toBe('9007199254740993');

  const xml = `<fetch><entity name="new_ledgerentry"><attribute name="new_amount" />
    <filter><condition attribute="new_ledgerentryid" operator="eq" value="${id}" /></filter></entity></fetch>`;
  const [fetched] = await exact.fetchXml<{ new_amount: string }>(xml).toArray();
  expect(fetched?.new_amount).toBe(amount);

  const changes: unknown[] = [];
  for await (const change of typed.changes({ select: [...select, 'new_ledgerentryid'] })) {
    if (change.kind === 'upserted' && change.row.new_ledgerentryid === id)
      changes.push(change.row.new_amount);
  }
  expect(changes).toEqual([amount]);
});

it('gives them in batches and in what writes return, and writes them as they were read', async () => {
  const dataverse = connect(server);
  const typed = dataverse.table(definition);
  const plain = dataverse.table('new_ledgerentry');
  const [first, second] = await dataverse.batch([
    typed.prepare.retrieve(id, { select: ['new_amount'] }),
    plain.prepare.retrieve(id, { select: ['new_amount'] }),
  ]);
  expect(first).toMatchObject({ value: { new_amount: amount } });
  expect(second).toMatchObject({ value: { new_amount: Number(amount) } });

  const created = await typed.create(
    { new_amount: '0.1000' },
    { returning: ['new_amount', 'new_ledgerentryid'] },
  );
  expect(created.new_amount).toBe('0.1000');
  const key = created.new_ledgerentryid;
  await typed.update(key, { new_amount: amount });
  await typed.updateMany([{ new_ledgerentryid: key, new_amount: '7.0100' }]);
  expect((await typed.retrieve(key))?.new_amount).toBe('7.0100');
  await typed.upsertMany([{ key, values: { new_amount: '8.0100' } }]);
  await dataverse.batch([changeSet(typed.prepare.update(key, { new_amount: '9.0100' }))]);
  expect((await typed.retrieve(key))?.new_amount).toBe('9.0100');
  await expect(typed.update(key, { new_amount: 'nine' })).rejects.toThrow(
    'The value of new_amount is not a number',
  );
});

it('takes the texts of such columns as numbers in filters, keys and aggregates', async () => {
  const entries = connect(server).table(definition);
  const ids = async (where: FilterInput<Entry>) =>
    (await entries.query().select('new_ledgerentryid').where(where).toArray()).map(
      (row) => row.new_ledgerentryid,
    );
  const row = await entries.retrieve(id);
  expect(await ids((f) => f.eq('new_amount', row!.new_amount))).toEqual([id]);
  expect(await ids((f) => f.and(f.eq('new_serial', row!.new_serial), f.ne('new_amount', '0.10')))).toEqual([
    id,
  ]);
  expect(await ids((f) => f.in('new_amount', [row!.new_amount!]))).toEqual([id]);
  await expect(ids((f) => f.eq('new_amount', "1' or 1 eq 1"))).rejects.toThrow(
    'The value of new_amount is not a number',
  );

  const [total] = await entries.aggregate<Record<string, unknown>>({
    where: (f) => f.eq('new_amount', row!.new_amount),
    groupBy: ['new_serial'],
    values: { largest: ['new_amount', 'max'], rows: 'count', amounts: ['new_amount', 'countdistinct'] },
  });
  expect(total).toEqual({ new_serial: '9007199254740993', largest: amount, rows: 1, amounts: 1 });
  const real = { decimals: 'real' } as const;
  const [rounded] = await entries.aggregate({ values: { largest: ['new_amount', 'max'] } }, real);
  expect(rounded).toEqual({ largest: Number(amount) });

  await using requests = await startServer((_, response) => {
    response.setHeader('content-type', 'application/json');
    response.end('{"new_amount":1.50}');
  });
  const keyed = connect(requests).table(definition);
  const key = { new_amount: '1.50', new_name: '7' };
  const path = "/new_ledgerentries(new_amount=1.50,new_name='7')";
  await keyed.retrieve(key);
  await keyed.update(key, { new_ratio: 1 });
  await keyed.delete(key);
  await keyed.clearLookup(key, 'parent');
  await keyed.callFunction(key, 'new_Function');
  for (const { url } of requests.requests) expect(decodeURIComponent(url)).toContain(path);
  expect(requests.requests).toHaveLength(5);
  expect(String(reference(definition, key))).toBe(path.slice(1));
  await expect(keyed.retrieve({ new_amount: '1.5.0' })).rejects.toThrow('not a number');
});

it('leaves columns of the same name in expanded tables as they are', async () => {
  await using others = await startServer((request, response) => {
    response.setHeader('content-type', 'application/json');
    const isRest = request.url?.includes('skip') === true;
    const entry = '{"new_amount":2.50}';
    const many = `"many":[${entry}],"many@odata.nextLink":"${others.url}/api/data/v9.2/rest?skip=1"`;
    const row = `{"new_amount":1.50,"one":${entry},${many}}`;
    response.end(`{"value":[${isRest ? entry : row}]}`);
  });
  const query = connect(others).table(definition).query().expand('one').expand('many');
  const found = { new_amount: '1.50', one: { new_amount: 2.5 } };
  expect(await query.toArray()).toEqual([{ ...found, many: [{ new_amount: 2.5 }, { new_amount: 2.5 }] }]);
  expect(await query.with({ decimals: 'text' }).toArray()).toMatchObject([{ one: { new_amount: '2.50' } }]);
});

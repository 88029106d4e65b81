import { afterEach, describe, expect, it } from 'vitest';
import type { Column } from '../../../src/local/sample-dataverse/metadata/model.ts';
import { hostileValue } from '../../../src/local/sample-dataverse/rows/hostile-value.ts';
import { Random } from '../../../src/local/sample-dataverse/rows/random.ts';
import type { RowValues } from '../../../src/local/sample-dataverse/rows/store.ts';
import type { Value } from '../../../src/local/sample-dataverse/rows/values.ts';
import { Organisation, reportOf } from '../organisation.ts';
import { addColumn } from '../schema-drift.ts';

let org: Organisation;
afterEach(() => org.stop());

const hour = 3_600_000;

/** Adds a column with marks that its attribute has in Dataverse. */
function addMarked(
  table: string,
  name: string,
  word: string,
  marks: Partial<Column>,
  value: Value = null,
): void {
  addColumn(org.store, table, name, word, () => value);
  mark(table, name, marks);
}

function mark(table: string, name: string, marks: Partial<Column>): void {
  Object.assign(org.store.table(table).columns.find((column) => column.name === name)!, marks);
  // The service shows the change in the metadata, and keeps its delta tokens.
  org.store.schemaChanged();
  org.store.rowsOf(org.store.table(table)).changed();
}

/** Rows of which all but the last are behind the window that reads by modifiedon look at. */
function oldRows(table: string, count: number, values: (index: number) => RowValues = () => ({})): string[] {
  const ids = org.rows(table, count - 1, values);
  org.clock.now += hour;
  return [...ids, org.store.create(table, values(count - 1))];
}

async function requestsOf(work: () => Promise<unknown>): Promise<number> {
  const before = org.dataverse.stats.requests;
  await work();
  return org.dataverse.stats.requests - before;
}

const strategies = [
  { strategy: 'delta', name: 'account', entities: [{ name: 'account', history: true, verifyHours: 4 }] },
  { strategy: 'modifiedon', name: 'lead', entities: [{ name: 'lead', history: true, verifyHours: 4 }] },
  {
    strategy: 'modifiedon',
    name: 'lead',
    entities: [{ name: 'lead', history: true, verifyHours: 4, reconcileEvery: 0 }],
  },
  {
    strategy: 'filtered',
    name: 'account',
    entities: ['contact', { name: 'account', history: true, verifyHours: 4, filtered: true }],
  },
];

describe.each(strategies)('values that change without a version in a $strategy table ($entities)', (one) => {
  const { strategy, name, entities } = one;

  /** Rows with a calculated, a rollup and a formula column, all of which the mirror keeps. */
  async function start(): Promise<string[]> {
    org = await Organisation.start(entities, {}, { DATAVERSE_PAGE_SIZE: '10' });
    const ids = oldRows(name, 25);
    if (strategy === 'filtered') {
      org.rows('contact', 25, (index) => ({
        _parentcustomerid_value: { id: ids[index]!, table: 'account' },
      }));
    }
    addMarked(name, 'new_age', 'int', { source: 'calculated' }, 1);
    addMarked(name, 'new_total', 'decimal:20:4', { source: 'rollup' }, '10.5000');
    addMarked(name, 'new_total_date', 'datetime', {}, '2026-11-20T00:00:00Z');
    addMarked(name, 'new_total_base', 'decimal:20:4', {}, '10.5000');
    addMarked(name, 'new_display', 'text:100', { source: 'formula' }, 'one');
    await org.sync();
    return ids;
  }

  it('arrive when the table is due, and not before', async () => {
    const ids = await start();
    const idle = await requestsOf(() => org.expectIdle());
    org.store.updateSilently(name, ids[3]!, { new_age: 2 });
    org.store.updateSilently(name, ids[4]!, { new_total: '10.5001', new_display: 'zwei ✓' });
    org.store.updateSilently(name, ids[5]!, { new_total_date: '2026-11-21T00:00:00Z' });
    org.store.updateSilently(name, ids[6]!, { new_display: null });
    org.store.updateSilently(name, ids[7]!, { new_total_base: '11.0000' });
    org.clock.now += 2 * hour;
    expect(await requestsOf(() => org.expectIdle())).toBe(idle);
    org.clock.now += 2 * hour;
    const report = reportOf(await org.sync(), name);
    expect(report).toMatchObject({ strategy, updated: 5, added: 0, deleted: 0, verified: 25, corrected: 5 });
    await org.expectMirror(name);
    await org.expectSound();
    const history = `${org.store.table(name).entitySetName}_history`;
    expect(await org.query(`SELECT count(*) AS n FROM ${history} WHERE valid_to NOT NULL`)).toEqual([
      { n: 5 },
    ]);
    const versions = `SELECT new_age FROM ${history} WHERE ${name}id = '${ids[3]}' ORDER BY valid_from`;
    expect(await org.query(versions)).toEqual([{ new_age: 1 }, { new_age: 2 }]);
    expect(await requestsOf(() => org.expectIdle())).toBe(idle);
    // The next comparison finds nothing, and writes nothing.
    org.clock.now += 4 * hour;
    expect(reportOf(await org.expectIdle(), name)).toMatchObject({ verified: 25 });
  });

  it('arrive together with ordinary changes and deletes of the same run', async () => {
    const ids = await start();
    org.clock.now += 4 * hour;
    org.store.updateSilently(name, ids[0]!, { new_age: 2 });
    org.store.update(name, ids[1]!, { new_age: 3 });
    org.store.updateSilently(name, ids[2]!, { new_age: 4 });
    org.store.delete(name, ids[2]!);
    expect(reportOf(await org.sync(), name)).toMatchObject({ updated: 2, deleted: 1 });
    await org.expectMirror(name);
    await org.expectSound();
    await org.expectIdle();
  });

  it('of a secured column arrive once the user may read it', async () => {
    org = await Organisation.start(entities);
    const ids = oldRows(name, 5, (index) => ({ description: `secret ${index}` }));
    if (strategy === 'filtered') {
      org.rows('contact', 5, (index) => ({ _parentcustomerid_value: { id: ids[index]!, table: 'account' } }));
    }
    mark(name, 'description', { secured: 'hidden' });
    await org.sync();
    await org.expectMirror(name);
    await org.expectIdle();
    mark(name, 'description', { secured: 'readable' });
    org.clock.now += 4 * hour;
    expect(reportOf(await org.sync(), name)).toMatchObject({ updated: 5 });
    await org.expectMirror(name);
    const rows = await org.query(
      `SELECT description FROM ${org.store.table(name).entitySetName} ORDER BY 1 LIMIT 1`,
    );
    expect(rows).toEqual([{ description: 'secret 0' }]);
    await org.expectIdle();
  });
});

it('a secured lookup arrives with the table of its target', async () => {
  org = await Organisation.start([{ name: 'contact', verifyHours: 1 }, 'account']);
  const [account] = org.rows('account', 1);
  const [contact] = org.rows('contact', 3, () => ({
    _parentcustomerid_value: { id: account!, table: 'account' },
  }));
  mark('contact', '_parentcustomerid_value', { secured: 'hidden' });
  await org.sync();
  const target = `SELECT _parentcustomerid_value AS id, _parentcustomerid_type AS type FROM contacts WHERE contactid = '${contact}'`;
  expect(await org.query(target)).toEqual([{ id: null, type: null }]);
  mark('contact', '_parentcustomerid_value', { secured: 'readable' });
  org.clock.now += hour;
  expect(reportOf(await org.sync(), 'contact')).toMatchObject({ updated: 3, corrected: 3 });
  expect(await org.query(target)).toEqual([{ id: account, type: 'account' }]);
  await org.expectMirror('contact');
});

it('values of all types are compared as they are stored', async () => {
  org = await Organisation.start([
    { name: 'account', verifyHours: 1 },
    { name: 'lead', verifyHours: 1 },
  ]);
  const words = [
    'int',
    'int64',
    'decimal:28:12',
    'money',
    'double',
    'bool',
    'date',
    'datetime',
    'guid',
    'memo',
  ];
  const tables = ['account', 'lead'];
  for (const table of tables) {
    org.rows(table, 40);
    for (const [index, word] of words.entries()) {
      const column = `new_c${index}`;
      addMarked(table, column, word, { source: 'calculated' });
      const shape = org.store.table(table).columns.find(({ name }) => name === column)!;
      for (const [row, id] of [...org.store.truth(table).keys()].entries()) {
        org.store.updateSilently(table, id, { [column]: hostileValue(shape, new Random(7, column, row)) });
      }
    }
  }
  await org.sync();
  await org.expectMirror(...tables);
  org.clock.now += hour;
  const status = await org.expectIdle();
  for (const table of tables) {
    expect(reportOf(status, table)).toMatchObject({ verified: 40 });
    expect(reportOf(status, table)).not.toHaveProperty('corrected');
  }
});

it('many rows that differ are read with the whole table', async () => {
  org = await Organisation.start([
    { name: 'account', verifyHours: 1, columns: { include: ['name', 'new_age'] } },
  ]);
  const ids = org.rows('account', 1200);
  addMarked('account', 'new_age', 'int', { source: 'calculated' }, 1);
  await org.sync();
  for (const id of ids.slice(0, 1001)) org.store.updateSilently('account', id, { new_age: 2 });
  org.clock.now += hour;
  const status = await org.sync();
  const report = reportOf(status, 'account');
  expect(report).toMatchObject({ updated: 1001, corrected: 1001, rowsRead: 1200 });
  expect(report.reread).toBe('many rows differed from those of Dataverse');
  const [row] = await org.query('SELECT count(*) AS n FROM accounts WHERE new_age = 2');
  expect(row).toEqual({ n: 1001 });
  await org.expectIdle();
});

it('marks follow the metadata of a table that has no other change', async () => {
  org = await Organisation.start([{ name: 'lead', verifyHours: 1 }]);
  oldRows('lead', 5, () => ({ description: 'secret' }));
  await org.sync();
  await org.expectIdle();
  mark('lead', 'description', { secured: 'readable' });
  await org.expectIdle();
  mark('lead', 'description', { secured: 'hidden' });
  org.clock.now += hour;
  expect(reportOf(await org.sync(), 'lead')).toMatchObject({ updated: 5, corrected: 4 });
  await org.expectMirror('lead');
});

describe('attributes that cannot be read', () => {
  const refuse = (status: number, code: string, times: number) =>
    org.dataverse.faults.add({ kind: 'error', status, code, message: 'No.', match: /\/Attributes/, times });
  const warnings = () => org.harness.log.filter(({ message }) => message.includes('calculated or secured'));

  it('are logged once, and only a read of all rows finds such values', async () => {
    org = await Organisation.start([{ name: 'account', verifyHours: 1 }, 'lead', 'contact', 'team']);
    const [id] = org.rows('account', 5);
    addMarked('account', 'new_age', 'int', { source: 'calculated' }, 1);
    refuse(403, '0x80040220', 100);
    const fault = refuse(403, '0x80040220', 100);
    expect((await org.sync()).totals.failed).toBe(0);
    expect(fault.hits).toBeLessThanOrEqual(4);
    org.store.updateSilently('account', id!, { new_age: 2 });
    org.clock.now += hour;
    await org.expectIdle();
    expect(warnings()).toMatchObject([{ level: 'warn', message: expect.stringContaining('account') }]);
    org.harness.configure([{ name: 'account', strategy: 'full' }]);
    await org.sync();
    await org.expectMirror('account');
  });

  it('are read again in the next run after an error that may pass, and the marks from before stay until then', async () => {
    org = await Organisation.start([{ name: 'account', verifyHours: 1 }]);
    const [id] = org.rows('account', 5);
    addMarked('account', 'new_age', 'int', { source: 'calculated' }, 1);
    await org.sync();
    const fault = refuse(503, '', 100);
    org.store.schemaChanged();
    org.store.updateSilently('account', id!, { new_age: 2 });
    org.clock.now += hour;
    expect(reportOf(await org.sync(), 'account')).toMatchObject({ updated: 1 });
    expect(warnings()).toHaveLength(1);
    fault.remove();
    await org.sync();
    expect(warnings()).toHaveLength(1);
    await org.expectIdle();
  });
});

import { afterEach, describe, expect, it } from 'vitest';
import { Organisation, reportOf } from '../organisation.ts';
import { addColumn } from '../schema-drift.ts';

let org: Organisation;
afterEach(() => org.stop());

/** Changes what Dataverse says about the table `new_box`. */
function describeOtherwise(change: { csdl?: (type: string) => string; isElastic?: boolean }): void {
  const { services } = org.harness;
  const { dataverse } = services;
  services.dataverse = {
    ...dataverse,
    async readMetadataDocument(options) {
      const read = await dataverse.readMetadataDocument(options);
      if (read === 'unchanged') return read;
      const document = read.document
        .toString()
        .replace(/<EntityType Name="new_box"[\s\S]*?<\/EntityType>/, (type) => change.csdl?.(type) ?? type);
      return { ...read, document: Buffer.from(document) };
    },
    async readEntityDefinitions(options) {
      const definitions = await dataverse.readEntityDefinitions(options);
      return definitions.map((one) =>
        one.logicalName === 'new_box' ? { ...one, isElastic: change.isElastic === true } : one,
      );
    },
  };
}

const tables = [
  {
    kind: 'with a key of two columns',
    change: {
      csdl: (type: string) => type.replace('</Key>', '<PropertyRef Name="new_region" /></Key>'),
    },
    error: /Table new_box .*single key column.*new_boxid, new_region together/,
  },
  {
    kind: 'that is elastic',
    change: { isElastic: true },
    error: /Table new_box is an elastic table.*partitionid/,
  },
];
const options = [
  {},
  { filtered: true },
  { history: true, rawJson: true, deletes: 'mark' },
  { columns: { include: ['new_name'] } },
  { strategy: 'full' },
];

describe.each(tables)('a table $kind', ({ change, error }) => {
  it.each(options)('is rejected by name before it is read, and the others are not (%j)', async (option) => {
    org = await Organisation.start(['lead', { name: 'new_box', ...option }]);
    org.rows('lead', 2);
    org.rows('new_box', 2);
    describeOtherwise(change);
    let requests = 0;
    const { entitySetName } = org.store.table('new_box');
    org.dataverse.faults.add({
      kind: '503',
      match: ({ path }) => {
        if (path.endsWith(`/${entitySetName}`)) requests += 1;
        return false;
      },
    });
    const report = reportOf(await org.sync(), 'new_box');
    expect(report).toMatchObject({ state: 'failed', requests: 0 });
    expect(report.error).toMatch(error);
    expect(report.hint).toMatch(/Remove it from entities.json/);
    expect(requests).toBe(0);
    expect(await org.ids('lead')).toHaveLength(2);
    expect(await org.query(`SELECT name FROM sqlite_master WHERE name LIKE '%box%'`)).toEqual([]);
  });
});

it('stores columns whose names differ only by case, each with its own values', async () => {
  org = await Organisation.start([{ name: 'lead', history: true }]);
  for (const name of ['Subject', 'SUBJECT']) addColumn(org.store, 'lead', name, 'text', () => null);
  org.rows('lead', 2, (n) => ({ subject: `a ${n}`, Subject: `b ${n}`, SUBJECT: null }));
  await org.sync();
  const columns = await org.query(
    "SELECT name FROM pragma_table_info('leads') WHERE lower(name) LIKE 'subject%' ORDER BY name",
  );
  expect(columns).toHaveLength(3);
  for (const set of ['leads', 'leads_history']) {
    const [row] = await org.query(
      `SELECT ${columns.map(({ name }) => `"${name}"`).join(', ')} FROM ${set} ORDER BY leadid LIMIT 1`,
    );
    const letters = Object.values(row!).map((value) => String(value).slice(0, 1));
    expect(letters.sort()).toEqual(['a', 'b', 'n']);
  }
  await org.expectIdle();
});

it.each([
  ['_sync_state', '_sync_log', '_sync_deleted', '_sync_meta'],
  ['_sync_schema_changes', '_sync_foreign_keys', '_choices', '_FILES'],
  ['SQLITE_sequence', 'accounts_labelled', 'accounts_choice_values', 'Select'],
])('stores tables with the names %s, %s, %s and %s beside its own', async (...names) => {
  const renamed = ['lead', 'task', 'contact', 'new_box'];
  org = await Organisation.start(['account', ...renamed]);
  for (const [index, table] of renamed.entries()) {
    const { model } = org.store;
    const changed = org.store.table(table);
    model.remove(changed);
    changed.entitySetName = names[index]!;
    model.add(changed);
    org.rows(table, index + 1);
  }
  org.store.schemaChanged();
  org.rows('account', 1, () => ({ new_regions: '100000000' }));
  const status = await org.sync();
  expect(status.totals.failed).toBe(0);
  for (const [index, table] of renamed.entries()) {
    const { table: stored } = reportOf(status, table);
    expect(await org.query(`SELECT count(*) AS n FROM "${stored}"`)).toEqual([{ n: index + 1 }]);
  }
  expect((await org.query('SELECT count(*) AS n FROM _sync_state'))[0]!['n']).toBe(5);
  expect((await org.query('SELECT count(*) AS n FROM accounts'))[0]!['n']).toBe(1);
  await org.expectSound();
  await org.expectIdle();
});

import { randomUUID } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type SampleDataverse, startSampleDataverse } from '../../../src/local/sample-dataverse/index.ts';
import { verify } from '../../../src/sync/run/verify.ts';
import { type Azurite, startAzurite } from '../../azurite.ts';
import { Harness } from '../harness.ts';
import { withDatabase } from '../truth.ts';

describe('verify', () => {
  let azurite: Azurite;
  let dataverse: SampleDataverse;

  beforeAll(async () => {
    azurite = await startAzurite();
  });
  afterEach(() => dataverse.stop());
  afterAll(() => azurite.stop());

  async function create(entities: unknown[]): Promise<Harness> {
    dataverse = await startSampleDataverse({ rows: 600 });
    return Harness.create({
      connectionString: azurite.connectionString,
      dataverseUrl: dataverse.url,
      entities,
    });
  }
  const ids = (table: string) => [...dataverse.store.truth(table).keys()];

  /** The figure of the run must be that of a check of every key. */
  async function expectFigure(harness: Harness, figure: number | undefined): Promise<void> {
    const report = (await verify(harness.services))!;
    expect(figure).toBe(report.danglingReferences);
    const counted = withDatabase(await harness.databaseBytes(), (db) => bruteForce(db));
    expect(
      Object.fromEntries(report.foreignKeys!.map((key) => [`${key.table}.${key.column}`, key.count])),
    ).toEqual(counted);
  }

  it('finds each absent target, of a polymorphic lookup by its recorded type, and nothing in a complete mirror', async () => {
    const harness = await create(['account', 'contact', 'systemuser', 'team', 'businessunit']);
    const first = await harness.sync();
    expect(first.danglingReferences).toBe(0);
    await expectFigure(harness, 0);

    const gone = randomUUID();
    const [account] = ids('account');
    const [one, two, three, four] = ids('contact');
    const { store } = dataverse;
    store.update('account', account!, { _primarycontactid_value: { id: gone, table: 'contact' } });
    // The id of a contact, recorded as that of an account.
    store.update('contact', one!, { _parentcustomerid_value: { id: two!, table: 'account' } });
    store.update('contact', three!, { _parentcustomerid_value: { id: four!, table: 'contact' } });
    // The target table is not mirrored, so the reference is not checked.
    store.update('contact', four!, {
      _transactioncurrencyid_value: { id: gone, table: 'transactioncurrency' },
    });
    const second = await harness.sync();
    expect(second.danglingReferences).toBe(2);
    await expectFigure(harness, 2);
    expect(await verify(harness.services)).toMatchObject({
      foreignKeys: expect.arrayContaining([
        {
          table: 'accounts',
          column: '_primarycontactid_value',
          targets: ['contacts'],
          count: 1,
          examples: [{ row: account, target: gone }],
        },
        {
          table: 'contacts',
          column: '_parentcustomerid_value',
          targets: ['accounts', 'contacts'],
          count: 1,
          examples: [{ row: one, target: two }],
        },
      ]),
    });

    // Only accounts change. The counts between other tables are kept.
    store.update('account', account!, { _primarycontactid_value: { id: one!, table: 'contact' } });
    const third = await harness.sync();
    expect(third.danglingReferences).toBe(1);
    await expectFigure(harness, 1);
  });

  it('counts a row marked as deleted as absent, and ignores its references', async () => {
    const mark = (name: string) => ({ name, deletes: 'mark' });
    const harness = await create([mark('account'), mark('contact')]);
    await harness.sync();
    const { store } = dataverse;
    const [account, other] = ids('account');
    const [contact] = ids('contact');
    store.delete('contact', contact!);
    store.update('account', account!, { _primarycontactid_value: { id: contact!, table: 'contact' } });
    const gone = { id: randomUUID(), table: 'contact' };
    store.update('account', other!, { _primarycontactid_value: gone });
    const second = await harness.sync();
    expect(second.danglingReferences).toBe(2);
    store.delete('account', other!);
    const third = await harness.sync();
    expect(third.danglingReferences).toBe(1);
    expect((await verify(harness.services))!.foreignKeys).toMatchObject([
      { column: '_primarycontactid_value', count: 1, examples: [{ row: account, target: contact }] },
    ]);
  });

  it('shows ten examples of many, and no report before the first sync', async () => {
    const harness = await create(['account', 'contact']);
    expect(await verify(harness.services)).toBeUndefined();
    const many = ids('account').slice(0, 25);
    for (const id of many) {
      dataverse.store.update('account', id, {
        _parentaccountid_value: { id: randomUUID(), table: 'account' },
      });
    }
    expect((await harness.sync()).danglingReferences).toBe(25);
    const [key] = (await verify(harness.services))!.foreignKeys!;
    expect(key).toMatchObject({ column: '_parentaccountid_value', count: 25 });
    expect(key!.examples.map(({ row }) => row)).toEqual(many.sort().slice(0, 10));
    // A run that commits nothing does not count.
    expect((await harness.sync()).danglingReferences).toBeUndefined();
  });
});

/** Checks row by row what `_sync_foreign_keys` says, without the product's code. */
function bruteForce(db: DatabaseSync): Record<string, number> {
  const counts: Record<string, number> = {};
  const tables = new Map(
    db
      .prepare('SELECT entity, table_name, state FROM _sync_state')
      .all()
      .map((row) => [String(row.entity), { name: String(row.table_name), key: keyOf(String(row.state)) }]),
  );
  const present = new Map(
    [...tables].map(([entity, { name, key }]) => [
      entity,
      new Set(
        db
          .prepare(`SELECT "${key}" AS id FROM "${name}"`)
          .all()
          .map((row) => String(row.id)),
      ),
    ]),
  );
  const bySet = new Map([...tables].map(([entity, { name }]) => [name, entity]));
  const keys = db
    .prepare(
      `SELECT table_name, column_name, type_column, group_concat(target_table) AS targets
       FROM _sync_foreign_keys GROUP BY 1, 2`,
    )
    .all();
  for (const { table_name: table, column_name: column, type_column: type, targets } of keys) {
    const names = String(targets).split(',');
    for (const row of db
      .prepare(`SELECT "${column}", ${type === null ? 'NULL' : `"${type}"`} FROM "${table}"`)
      .all()) {
      const id = row[String(column)];
      if (id === null) continue;
      const recorded = type === null ? undefined : row[String(type)];
      const entities = typeof recorded === 'string' ? [recorded] : names.map((name) => bySet.get(name));
      const places = entities.map((entity) => present.get(String(entity)));
      if (places.some((place) => place === undefined || place.has(String(id)))) continue;
      const name = `${table}.${column}`;
      counts[name] = (counts[name] ?? 0) + 1;
    }
  }
  return counts;
}

function keyOf(state: string): string {
  return (JSON.parse(state) as { table: { primaryKey: string } }).table.primaryKey;
}

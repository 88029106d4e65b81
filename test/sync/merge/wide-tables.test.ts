import { afterEach, describe, expect, it } from 'vitest';
import { Organisation, reportOf } from '../organisation.ts';
import { addColumn, retypeColumn } from '../schema-drift.ts';

let org: Organisation;
afterEach(() => org.stop());

/** Gives a table so many more columns. */
function widen(table: string, count: number, first = 0): void {
  for (let n = first; n < first + count; n++) addColumn(org.store, table, `new_wide${n}`, 'int', () => n);
}

const everyOption = { history: true, rawJson: true, deletes: 'mark' } as const;

describe('a table of many columns', () => {
  it.each([
    ['account', 1000, false],
    ['account', 1000, true],
    ['new_shipmentline', 1930, false],
  ])('works with every option (%s with %i more, filtered: %s)', async (name, count, filtered) => {
    org = await Organisation.start(['lead', { name, ...everyOption, filtered }]);
    widen(name, count);
    const ids = org.rows(name, 4, () => ({ new_wide7: 7 }));
    if (filtered) org.rows('lead', 4, (n) => ({ _customerid_value: { id: ids[n]!, table: name } }));
    await org.sync();
    await org.expectMirror(name);
    org.store.update(name, ids[0]!, { new_wide7: -7 });
    org.store.delete(name, ids[1]!);
    retypeColumn(org.store, name, 'new_wide8', 'int', () => -8);
    await org.sync();
    addColumn(org.store, name, 'new_late', 'int', () => 1);
    await org.sync();
    await org.expectMirror(name);
    await org.expectSound();
    const set = org.store.table(name).entitySetName!;
    const key = org.store.table(name).primaryId;
    expect(
      await org.query(
        `SELECT new_wide7 AS n, valid_to IS NULL AS current FROM ${set}_history
         WHERE ${key} = '${ids[0]}' AND new_late IS NULL ORDER BY valid_from`,
      ),
    ).toEqual([
      { n: 7, current: 0 },
      { n: -7, current: 0 },
    ]);
    await org.expectIdle();
  });

  it('is rejected by name beyond what SQLite stores, before a row is read, and works with fewer columns', async () => {
    org = await Organisation.start([{ name: 'new_shipmentline', ...everyOption }, 'account']);
    widen('new_shipmentline', 2000);
    org.rows('new_shipmentline', 2);
    org.rows('account', 2);
    const status = await org.sync();
    const report = reportOf(status, 'new_shipmentline');
    expect(report).toMatchObject({ state: 'failed', requests: 0 });
    expect(report.error).toMatch(/new_shipmentline .*at most 2000/);
    expect(report.hint).toMatch(/"columns": \{ "exclude"/);
    await org.expectMirror('account');
    const exclude = Array.from({ length: 100 }, (_, n) => `new_wide${n}`);
    org.harness.configure([{ name: 'new_shipmentline', ...everyOption, columns: { exclude } }, 'account']);
    await org.sync();
    expect(await org.ids('new_shipmentline')).toHaveLength(2);
    await org.expectIdle();
  });
});

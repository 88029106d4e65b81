import { afterEach, describe, expect, it } from 'vitest';
import { parseEntities, withDefaults } from '../../../src/config/entities.ts';
import { readSettings } from '../../../src/config/settings.ts';
import { Organisation } from '../organisation.ts';
import { NumberText, readTruth, withDatabase } from '../truth.ts';

let org: Organisation | undefined;
afterEach(async () => {
  await org?.dataverse.stop();
  org = undefined;
});

/** Digits that a double does not have. */
const amounts = ['9007199254740.1234', '-0.0001', '900719925474.0999', '0.0000', '12.3400'];
const rates = [
  '1234567890123456.123456789012',
  '0.000000000001',
  '-9999999999999999.999999999999',
  '1.000000000000',
  '0',
];

async function start(entities: unknown[]): Promise<Organisation> {
  org = await Organisation.start(entities);
  for (const [n, new_amount] of amounts.entries()) {
    org.store.create('new_ledgerentry', {
      new_name: `${n}`,
      new_amount,
      new_rate: rates[n]!,
      new_ratio: 0.1,
    });
  }
  return org;
}

/** The columns of each row, in Dataverse with the text of its numbers, and in the mirror. */
async function compared({ dataverse, harness }: Organisation) {
  const columns = ['new_ledgerentryid', 'new_amount', 'new_rate', 'new_ratio'];
  const truth = (await readTruth(dataverse.url, 'new_ledgerentries'))
    .map((row) => columns.map((name) => (row[name] instanceof NumberText ? row[name].text : row[name])))
    .sort();
  const bytes = await harness.databaseBytes();
  const mirrored = withDatabase(bytes, (db) =>
    db.prepare(`SELECT ${columns.join()} FROM new_ledgerentries ORDER BY 1`).all(),
  ).map((row) => Object.values(row));
  return { truth, mirrored };
}

describe('decimals as texts', () => {
  it('have every digit, and doubles stay numbers', async () => {
    const { truth, mirrored } = await compared(await synced([{ name: 'new_ledgerentry', decimals: 'text' }]));
    expect(truth.map(([, amount]) => amount)).toEqual(expect.arrayContaining(['9007199254740.1234']));
    expect(mirrored.map((row) => row.slice(0, 3))).toEqual(truth.map((row) => row.slice(0, 3)));
    expect(mirrored.every((row) => row[3] === 0.1)).toBe(true);
  });

  it('are rounded without the option', async () => {
    const { truth, mirrored } = await compared(await synced(['new_ledgerentry']));
    expect(mirrored.map(([id]) => id)).toEqual(truth.map(([id]) => id));
    expect(mirrored.every((row) => typeof row[1] === 'number')).toBe(true);
    expect(mirrored.some((row, n) => String(row[2]) !== truth[n]![2])).toBe(true);
  });

  it('are read again when the option is set and removed, and then only what changes', async () => {
    const one = await synced(['new_ledgerentry']);
    one.harness.configure([{ name: 'new_ledgerentry', decimals: 'text' }]);
    const status = await one.sync();
    expect(status.totals.rowsRead).toBeGreaterThanOrEqual(amounts.length);
    const { truth, mirrored } = await compared(one);
    expect(mirrored.map((row) => row.slice(0, 3))).toEqual(truth.map((row) => row.slice(0, 3)));
    expect((await one.sync()).totals).toMatchObject({ added: 0, updated: 0 });

    const [id] = [...one.store.truth('new_ledgerentry').keys()];
    one.store.update('new_ledgerentry', id!, { new_rate: '0.100000000000' });
    expect((await one.sync()).totals).toMatchObject({ added: 0, updated: 1 });
    const after = await compared(one);
    expect(after.mirrored.map((row) => row.slice(0, 3))).toEqual(after.truth.map((row) => row.slice(0, 3)));

    one.harness.configure(['new_ledgerentry']);
    await one.sync();
    expect((await compared(one)).mirrored.every((row) => typeof row[1] === 'number')).toBe(true);
  });

  it('are the same as before where no row changed, in a full read', async () => {
    const one = await synced([{ name: 'new_ledgerentry', decimals: 'text', strategy: 'full' }]);
    expect((await one.sync({ reread: ['new_ledgerentry'] })).totals).toMatchObject({
      added: 0,
      updated: 0,
      deleted: 0,
    });
  });

  it('keep a history with every digit', async () => {
    const one = await synced([{ name: 'new_ledgerentry', decimals: 'text', history: true }]);
    const id = [...one.store.truth('new_ledgerentry')].find(([, row]) => row['new_name'] === '0')![0];
    one.store.update('new_ledgerentry', id, { new_amount: '9007199254740.1235' });
    await one.sync();
    const kept = withDatabase(await one.harness.databaseBytes(), (db) =>
      db.prepare('SELECT new_amount FROM new_ledgerentries_history WHERE new_ledgerentryid = ?').all(id),
    );
    expect(kept.map(({ new_amount }) => new_amount)).toContain('9007199254740.1234');
  });

  it('can be the default of an app, which a table can change', () => {
    const required = {
      DATAVERSE_URL: 'https://contoso.crm.dynamics.com',
      AzureWebJobsStorage: 'UseDevelopmentStorage=true',
    };
    const { sync } = readSettings({ ...required, SYNC_DECIMALS: 'text' });
    const tables = parseEntities(['account', { name: 'contact', decimals: 'real' }]);
    expect(withDefaults(tables, sync).map(({ decimals }) => decimals)).toEqual(['text', 'real']);
    expect(withDefaults(tables, readSettings(required).sync)).toEqual(tables);
    expect(() => readSettings({ ...required, SYNC_DECIMALS: 'exact' })).toThrow('SYNC_DECIMALS');
  });
});

async function synced(entities: unknown[]): Promise<Organisation> {
  const one = await start(entities);
  await one.sync();
  return one;
}

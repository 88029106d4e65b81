import { beforeAll, describe, expect, it } from 'vitest';
import type { RowValues, SampleDataverseOptions, Store } from '../../../src/local/sample-dataverse/index.ts';
import { buildStore } from '../../../src/local/sample-dataverse/rows/build-store.ts';
import { isLookup } from '../../../src/local/sample-dataverse/rows/values.ts';
import { currencies } from '../../../src/local/sample-dataverse/sample-data/words/currencies.ts';
import { countries } from '../../../src/local/sample-dataverse/sample-data/words/places.ts';
import { sharedAbsent, sharedPath } from '../../shared.ts';

const now = new Date('2026-11-25T12:00:00Z');
const build = (options: SampleDataverseOptions = {}) =>
  buildStore({ rows: 6000, hostileValues: false, clock: () => now, ...options }).store;

type Rows = Map<string, RowValues>;

/** The rows of each table by id, read once because `truth` copies a table. */
function tablesOf(store: Store): Map<string, Rows> {
  const tables = [...store.model.tables.values()].filter((table) => !table.abstract);
  return new Map(tables.map(({ logicalName }) => [logicalName, store.truth(logicalName)]));
}

let store: Store;
let tables: Map<string, Rows>;
beforeAll(() => {
  store = build();
  tables = tablesOf(store);
});

const rowsOf = (table: string) => [...tables.get(table)!.values()];
/** The values of a column, without nulls. */
const valuesOf = (table: string, column: string) =>
  rowsOf(table).flatMap((row) => (row[column] === null ? [] : [row[column]!]));
const median = (values: number[]) => values.toSorted((a, b) => a - b)[values.length >> 1]!;
const target = (row: RowValues, lookup: string) => {
  const value = row[lookup] ?? null;
  return isLookup(value) ? tables.get(value.table)!.get(value.id) : undefined;
};
/** The first few rows that fail a check. */
const faulty = (all: Map<string, Rows>, isFaulty: (row: RowValues, table: string) => boolean) =>
  [...all].flatMap(([table, rows]) => [...rows].filter(([, row]) => isFaulty(row, table))).slice(0, 3);
const leadsNowhere = (all: Map<string, Rows>) => (row: RowValues) =>
  Object.values(row).some((value) => isLookup(value) && all.get(value.table)?.get(value.id) === undefined);
const isUntimely = ({ createdon, modifiedon }: RowValues) =>
  modifiedon !== undefined && !(createdon! <= modifiedon! && modifiedon! <= '2026-11-25T12:00:00Z');

describe('every table', () => {
  it('has rows that are created before they are modified, and both before now', () => {
    expect(faulty(tables, isUntimely)).toEqual([]);
  });

  it('points lookups to rows that exist', () => {
    expect(faulty(tables, leadsNowhere(tables))).toEqual([]);
  });

  it('has a state that fits its status', () => {
    const fits = (row: RowValues, name: string) => {
      const status = store.table(name).columns.find((column) => column.name === 'statuscode');
      const option = status?.choice?.options.find(({ value }) => value === row['statuscode']);
      return status === undefined || option?.state === row['statecode'];
    };
    expect(faulty(tables, (row, table) => !fits(row, table))).toEqual([]);
  });

  it('is mostly written in working hours, and a part in the last month', () => {
    const created = valuesOf('contact', 'createdon').map((text) => new Date(String(text)));
    const atWork = created.filter((date) => date.getUTCDay() % 6 !== 0 && date.getUTCHours() >= 7);
    expect(atWork.length / created.length).toBeGreaterThan(0.85);
    const recent = created.filter((date) => now.getTime() - date.getTime() < 30 * 86_400_000);
    expect(recent.length / created.length).toBeGreaterThan(0.1);
    expect(recent.length / created.length).toBeLessThan(0.3);
  });

  it('has many rows that an import changed in the same second', () => {
    const times = valuesOf('contact', 'modifiedon').map(String);
    expect(times.length - new Set(times).size).toBeGreaterThan(times.length / 10);
  });

  it('has no text with a placeholder or a hostile value', () => {
    const pattern = /\{\w+\}|undefined|NaN|DROP TABLE|copper delta/;
    expect(faulty(tables, (row) => Object.values(row).some((value) => pattern.test(String(value))))).toEqual(
      [],
    );
  });
});

describe('accounts', () => {
  it('have distinct names and numbers', () => {
    for (const column of ['name', 'accountnumber']) {
      const values = valuesOf('account', column);
      expect(new Set(values).size).toBe(values.length);
      expect(values.length).toBe(store.count('account'));
    }
  });

  it('have an address whose city, postal code and telephone number belong to its country', () => {
    for (const row of rowsOf('account')) {
      const country = countries.find(({ name }) => name === row['address1_country'])!;
      const city = country.cities.find(({ name }) => name === row['address1_city'])!;
      const pattern = city.postalCode.replaceAll('#', '\\d').replaceAll('@', '[A-Z]');
      expect(row['address1_postalcode']).toMatch(new RegExp(`^${pattern}$`));
      expect(row['address1_stateorprovince']).toBe(city.state ?? null);
      if (row['telephone1'] !== null)
        expect(String(row['telephone1']).startsWith(`+${country.callingCode} `)).toBe(true);
    }
  });

  it('have amounts that agree with the exchange rate, and plausible sizes', () => {
    for (const row of rowsOf('account')) {
      const currency = target(row, '_transactioncurrencyid_value');
      if (currency !== undefined) expect(row['exchangerate']).toBe(currency['exchangerate']);
      if (row['revenue'] === null) expect(row['revenue_base']).toBeNull();
      else
        expect(Number(row['revenue_base'])).toBeCloseTo(
          Number(row['revenue']) / Number(row['exchangerate']),
          1,
        );
    }
    expect(median(valuesOf('account', 'numberofemployees').map(Number))).toBeGreaterThan(20);
    expect(median(valuesOf('account', 'numberofemployees').map(Number))).toBeLessThan(120);
    expect(median(valuesOf('account', 'revenue_base').map(Number))).toBeGreaterThan(2e6);
    expect(median(valuesOf('account', 'revenue_base').map(Number))).toBeLessThan(50e6);
  });

  it('have a primary contact of their own, and no circular parents', () => {
    let found = 0;
    for (const [id, row] of tables.get('account')!) {
      const contact = target(row, '_primarycontactid_value');
      if (contact === undefined) continue;
      found++;
      expect(contact['_parentcustomerid_value']).toEqual({ id, table: 'account' });
    }
    expect(found).toBeGreaterThan(100);
    for (const row of rowsOf('account'))
      expect(target(target(row, '_parentaccountid_value') ?? {}, '_parentaccountid_value')).toBeUndefined();
  });
});

describe('contacts', () => {
  it('have a unique e-mail address in the domain of their account', () => {
    const addresses = valuesOf('contact', 'emailaddress1').map(String);
    expect(new Set(addresses).size).toBe(addresses.length);
    for (const row of rowsOf('contact')) {
      expect(row['fullname']).toBe(`${row['firstname']} ${row['lastname']}`);
      const account = target(row, '_parentcustomerid_value');
      if (account?.['websiteurl'] && row['emailaddress1'] !== null) {
        expect(`https://www.${String(row['emailaddress1']).split('@')[1]}`).toBe(account['websiteurl']);
        expect(row['address1_city']).toBe(account['address1_city']);
      }
    }
  });
});

describe('activities', () => {
  it('are younger than the row they are about', () => {
    for (const row of [...rowsOf('email'), ...rowsOf('task')]) {
      const about = target(row, '_regardingobjectid_value');
      if (about !== undefined) expect(about['createdon']! <= row['createdon']!).toBe(true);
    }
  });
});

describe('currencies', () => {
  it('have ISO codes and the euro as their base', () => {
    expect(rowsOf('transactioncurrency')[0]).toMatchObject({
      isocurrencycode: 'EUR',
      currencysymbol: '€',
      exchangerate: '1.000000000000',
    });
    const large = build({ rows: 400_000 });
    expect(large.count('transactioncurrency')).toBe(currencies.length);
  });
});

describe('campaign metrics', () => {
  const number = (row: RowValues, name: string) => Number(row[`apex_${name}`]);

  it('have magnitudes that agree with each other', () => {
    const rows = rowsOf('apex_campaignmetrics');
    expect(rows.length).toBe(29);
    for (const row of rows) {
      expect(number(row, 'agentstotal')).toBeGreaterThanOrEqual(3);
      expect(number(row, 'agentstotal')).toBeLessThanOrEqual(40);
      const rate = (100 * number(row, 'agentssuccessful')) / number(row, 'agentstotal');
      expect(number(row, 'successrate')).toBeCloseTo(rate, 2);
      expect(rate).toBeGreaterThan(60);
      const [tokensIn, tokensOut] = [number(row, 'tokensin'), number(row, 'tokensout')];
      expect(tokensIn).toBeGreaterThan(20_000);
      expect(tokensIn).toBeLessThan(6e6);
      expect(tokensOut).toBeLessThan(tokensIn);
      expect(number(row, 'costusd')).toBeCloseTo((3 * tokensIn + 15 * tokensOut) / 1e6, 4);
      expect(number(row, 'latencyavgms')).toBeLessThan(number(row, 'latencyp95ms'));
    }
    expect(median(rows.map((row) => number(row, 'successrate')))).toBeGreaterThan(90);
  });

  it('cover the last weeks up to today, each phase after the one before', () => {
    const rows = rowsOf('apex_campaignmetrics');
    const times = rows.map((row) => Date.parse(String(row['apex_createdat'])));
    const days = times.map((time) => (now.getTime() - time) / 86_400_000);
    expect(Math.max(...days)).toBeGreaterThan(20);
    expect(Math.max(...days)).toBeLessThan(64);
    expect(Math.min(...days)).toBeLessThan(0.3);
    expect(new Set(rows.map((row) => row['apex_campaignid'])).size).toBeGreaterThan(3);
    const runs = Map.groupBy(rows, (row) => `${row['apex_campaignid']} ${row['apex_runid']}`);
    for (const phases of runs.values()) {
      const byPhase = phases.toSorted((a, b) => (a['apex_phase']! < b['apex_phase']! ? -1 : 1));
      const byTime = phases.toSorted((a, b) => (a['apex_createdat']! < b['apex_createdat']! ? -1 : 1));
      expect(byTime).toEqual(byPhase);
    }
  });
});

describe('hostile values', () => {
  it('are mixed in for tests and leave keys, times and lookups valid', () => {
    const hostile = tablesOf(build({ hostileValues: true }));
    const accounts = [...hostile.get('account')!.values()];
    const texts = new Set(accounts.flatMap((row) => Object.values(row)).map(String));
    for (const text of [
      "Robert'); DROP TABLE accounts;--",
      'שלום — سلام',
      '5000000.0000',
      '1e+21',
      '2147483647',
    ])
      expect(texts).toContain(text);
    expect(new Set(accounts.map((row) => row['accountnumber'])).size).toBe(accounts.length);
    expect(faulty(hostile, leadsNowhere(hostile))).toEqual([]);
    expect(faulty(hostile, isUntimely)).toEqual([]);
  });

  it('do not change the ids, which depend on the seed alone', () => {
    expect(build({ rows: 300 }).truth('contact')).toEqual(build({ rows: 300 }).truth('contact'));
    expect([...build({ rows: 300 }).truth('contact').keys()]).toEqual([
      ...build({ rows: 300, hostileValues: true }).truth('contact').keys(),
    ]);
  });
});

const real = sharedPath('dataverse', 'metadata', 'lcrb-2020-04-22.xml');
describe.skipIf(real === undefined)(`a real document${real === undefined ? `: ${sharedAbsent}` : ''}`, () => {
  it('gets values that fit the names of its columns', () => {
    const document = build({ metadata: real!, tables: ['account', 'contact'], rows: 400 });
    const contacts = [...document.truth('contact').values()];
    for (const row of contacts) {
      if (row['emailaddress1'] !== null) expect(row['emailaddress1']).toMatch(/^[a-z.-]+@[a-z-]+\.example$/);
      if (row['telephone1'] !== null) expect(row['telephone1']).toMatch(/^\+\d+ [\d ]+$/);
    }
    const cities = new Set(countries.flatMap((country) => country.cities.map(({ name }) => name)));
    for (const row of document.truth('account').values())
      if (row['address1_city'] !== null) expect(cities.has(String(row['address1_city']))).toBe(true);
  });
});

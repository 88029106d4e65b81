import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { campaignMetricsFieldNames } from '../../../src/metrics/contract/campaign-metrics-fields.ts';
import { maxRecords, readRecords } from '../../../src/metrics/contract/contract.ts';
import { input } from '../metrics-world.ts';

const now = new Date('2026-11-21T12:00:00.000Z');
const read = (body: unknown) =>
  readRecords(Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)), now);
const one = (more: object = {}) => {
  const result = read({ ...input(), ...more });
  return 'records' in result ? result.records[0]! : result;
};
const paths = (body: unknown) => {
  const result = read(body);
  return 'faults' in result ? result.faults.map((fault) => fault.path) : [];
};
/** A body with this JSON text as the value of one field. */
const withText = (field: string, text: string) => {
  const { [field as 'costUSD']: _, ...rest } = input();
  return `${JSON.stringify(rest).slice(0, -1)},${JSON.stringify(field)}:${text}}`;
};

test('lengths are counted in UTF-16 units, as Dataverse counts them', () => {
  expect(one({ campaignId: '💶'.repeat(32) })).toMatchObject({ campaignId: '💶'.repeat(32) });
  expect(one({ campaignId: '💶'.repeat(33) })).toMatchObject({
    faults: [{ path: '/campaignId', detail: 'must have at most 64 characters' }],
  });
  expect(one({ phase: '💶'.repeat(8) })).toMatchObject({ phase: '💶'.repeat(8) });
  expect(paths({ ...input(), phase: `${'💶'.repeat(8)}x` })).toEqual(['/phase']);
});

test('texts without a letter, digit or symbol are rejected', () => {
  expect(one({ runId: '  ' })).toMatchObject({ faults: [{ path: '/runId', detail: 'must not be blank' }] });
  expect(paths({ ...input(), runId: '\u0301' })).toEqual(['/runId']);
  expect(one({ runId: '' })).toMatchObject({ faults: [{ path: '/runId', detail: 'must not be empty' }] });
});

describe('accepts', () => {
  test('records without optional fields, and fills them in', () => {
    expect(one()).toEqual({
      ...input(),
      phase: '2-3',
      successRate: 75,
      createdAt: '2026-11-21T12:00:00.000Z',
    });
    expect(one({ agentsTotal: 3, agentsSuccessful: 2 })).toMatchObject({ successRate: 66.67 });
    expect(one({ agentsTotal: 0, agentsSuccessful: 0 })).toMatchObject({ successRate: 0 });
    expect(one({ successRate: 12.34 })).toMatchObject({ successRate: 12.34 });
  });

  test.each([
    ['2026-11-21T09:30:00Z', '2026-11-21T09:30:00Z'],
    ['2026-11-21T09:30:00+01:00', '2026-11-21T08:30:00Z'],
    ['2026-11-21t23:30:00-05:45', '2026-11-22T05:15:00Z'],
    ['2026-11-21T09:30:00.1230z', '2026-11-21T09:30:00.123Z'],
    ['2024-02-29T00:00:00.1234567-00:00', '2024-02-29T00:00:00.1234567Z'],
  ])('%s and stores it as UTC', (createdAt, utc) => {
    expect(one({ createdAt })).toMatchObject({ createdAt: utc });
  });

  test.each(['0', '0.00000', '1e-5', '99999.99999', '12.50000000000000000000000', '1.5E1', '-0'])(
    'the cost %s as it is',
    (text) => {
      expect(read(withText('costUSD', text))).toMatchObject({ records: [{ costUSD: Number(text) }] });
    },
  );

  test('whole numbers in every JSON notation', () => {
    expect(read(withText('tokensIn', '1.0'))).toMatchObject({ records: [{ tokensIn: 1 }] });
    expect(read(withText('tokensIn', '2147483647'))).toMatchObject({ records: [{ tokensIn: 2147483647 }] });
  });

  test('any text that can be stored, a byte order mark, and lists', () => {
    expect(one({ campaignId: '💶 O’Brien\'s "x" / < > * % & : \\ ? +' })).toMatchObject({ runId: 'run-1' });
    expect(read(`\ufeff${JSON.stringify(input())}`)).toHaveProperty('records');
    expect(read([input(), input({ phase: '1' })])).toMatchObject({ isArray: true, records: [{}, {}] });
  });
});

describe('rejects', () => {
  test.each([
    ['campaignId', ''],
    ['campaignId', 'x'.repeat(65)],
    ['campaignId', '\ud800'],
    ['runId', 'a\u0000b'],
    ['runId', 5],
    ['phase', 'x'.repeat(17)],
    ['phase', null],
    ['agentsTotal', -1],
    ['agentsTotal', '8'],
    ['tokensIn', 2 ** 31],
    ['tokensIn', 1.5],
    ['tokensOut', true],
    ['costUSD', 0.000001],
    ['costUSD', 100000],
    ['costUSD', -0.1],
    ['successRate', 100.01],
    ['successRate', 33.333],
    ['createdAt', '2026-11-21'],
    ['createdAt', '2026-11-21T09:30:00'],
    ['createdAt', '2026-02-30T09:30:00Z'],
    ['createdAt', '2026-11-21T24:00:00Z'],
    ['createdAt', '2026-11-21T09:30:60Z'],
    ['createdAt', '2026-11-21T09:30:00.12345678Z'],
    ['createdAt', '1752-12-31T23:59:59Z'],
    ['createdAt', '9999-12-31T23:59:59-01:00'],
    ['createdAt', 0],
    ['agentsSuccessful', 9],
    ['colour', 'red'],
    ['__proto__x', 1],
    ['CampaignId', 'a'],
    ['a/b~c', 1],
  ])('%s: %j', (field, value) => {
    expect(paths({ ...input(), [field]: value })).toEqual([
      `/${field.replaceAll('~', '~0').replaceAll('/', '~1')}`,
    ]);
  });

  test.each([
    ['agentsTotal', '8', 'must be a whole number, not text'],
    ['tokensIn', true, 'must be a whole number, not true'],
    ['tokensOut', [1], 'must be a whole number, not an array'],
    ['latencyAvgMs', { ms: 3 }, 'must be a whole number, not an object'],
    ['latencyP95Ms', 1.5, 'must be a whole number'],
    ['costUSD', '1.25', 'must be a number, not text'],
    ['campaignId', 5, 'must be text, not a number'],
    ['createdAt', 17, 'must be text: an RFC 3339 date-time, not a number'],
    ['successRate', null, 'must be a number, not null'],
    ['agentsTotal', undefined, 'is missing'],
  ])('a value of the wrong type as such: %s = %j', (field, value, detail) => {
    expect(read({ ...input(), [field]: value })).toMatchObject({ faults: [{ path: `/${field}`, detail }] });
  });

  test.each([
    [7, 'must be an object, not a number'],
    ['text', 'must be an object, not text'],
    [null, 'must be an object, not null'],
    [[], 'must be an object, not an array'],
  ])('an item that is not a record: %j', (item, detail) => {
    expect(read([item])).toMatchObject({ faults: [{ path: '/0', detail }] });
  });

  test.each([
    ['costUSD', '0.1234500000000000001'],
    ['costUSD', '1.000000000000000000001'],
    ['tokensIn', '9007199254740993'],
    ['tokensIn', '1e400'],
    ['costUSD', '1e-400'],
    ['costUSD', '0.30000000000000004'],
    ['tokensIn', '1e99999999999999999999'],
  ])('a number that a double cannot keep: %s = %s', (field, text) => {
    expect(paths(withText(field, text))).toContain(`/${field}`);
  });

  test('a repeated key, also with the same value, also escaped; and __proto__', () => {
    expect(paths(`{"runId":"a",${JSON.stringify(input()).slice(1)}`)).toEqual(['/runId']);
    expect(paths(`{"run\\u0049d":"a",${JSON.stringify(input()).slice(1)}`)).toEqual(['/runId']);
    expect(paths(withText('__proto__', '{"tokensIn":1}'))).toEqual(['/__proto__']);
  });

  test('and reports every fault of every item', () => {
    const required = campaignMetricsFieldNames.filter(
      (f) => !['phase', 'successRate', 'createdAt'].includes(f),
    );
    const faults = paths([
      input(),
      {},
      { ...input(), tokensIn: -1, agentsSuccessful: 9, x: 1, y: 2 },
      7,
      null,
      [],
    ]);
    expect(new Set(faults)).toEqual(
      new Set([
        ...required.map((field) => `/1/${field}`),
        ...['tokensIn', 'agentsSuccessful', 'x', 'y'].map((field) => `/2/${field}`),
        ...['/3', '/4', '/5'],
      ]),
    );
  });

  test.each([
    ['nothing', ''],
    ['white space', ' \n '],
    ['text', 'campaignId=a'],
    ['half an object', '{"campaignId":"a"'],
    ['a trailing comma', '[{},]'],
    ['NaN', '{"tokensIn":NaN}'],
    ['no records', '[]'],
    ['too many records', JSON.stringify(Array(maxRecords + 1).fill(input()))],
    ['a number', '5'],
    ['null', 'null'],
    ['two million brackets', `${'['.repeat(2e6)}${']'.repeat(2e6)}`],
    ['deep objects', `${'{"a":'.repeat(1e5)}1${'}'.repeat(1e5)}`],
  ])('%s', (_, body) => {
    expect(paths(body)).toEqual(['']);
  });

  test('bytes that are not UTF-8', () => {
    expect(readRecords(Buffer.from([0x7b, 0xff, 0x7d]), now)).toHaveProperty('faults');
    expect(readRecords(Buffer.from(JSON.stringify(input()), 'utf16le'), now)).toHaveProperty('faults');
    expect(readRecords(Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]), now)).toHaveProperty('faults');
  });

  test('a body full of unknown fields, with a bounded number of faults', () => {
    const body = `{${Array.from({ length: 300_000 }, (_, n) => `"k${n}":1`).join(',')}}`;
    const result = read(body);
    expect('faults' in result && result.faults.length).toBe(20_000);
  });
});

describe('every body', () => {
  test('is rejected, or read without changing a value', () => {
    const number = fc.oneof(fc.integer(), fc.double(), fc.constantFrom(0, 1, 2 ** 31, 1e-5, 0.1 + 0.2));
    const value = fc.oneof(number, fc.string(), fc.constant(null), fc.boolean(), fc.constant([]));
    const fields = fc.dictionary(fc.constantFrom(...campaignMetricsFieldNames, 'other'), value);
    fc.assert(
      fc.property(fields, (some) => {
        const result = read({ ...input(), ...some });
        if ('faults' in result) return result.faults.length > 0;
        const [record] = result.records;
        return Object.entries(JSON.parse(JSON.stringify(some)) as object).every(
          ([name, sent]) => name === 'createdAt' || record![name as 'costUSD'] === sent,
        );
      }),
      { numRuns: 500 },
    );
  });

  test('of random bytes or random JSON is rejected', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => 'faults' in readRecords(bytes, now)));
    fc.assert(fc.property(fc.json(), (text) => 'faults' in read(text)));
  });

  test('keeps costs with five decimal places', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 9_999_999_999 }), (units) => {
        const digits = String(units).padStart(6, '0');
        const text = `${digits.slice(0, -5)}.${digits.slice(-5)}`;
        const result = read(withText('costUSD', text));
        return 'records' in result && result.records[0]!.costUSD.toFixed(5) === text;
      }),
    );
  });
});

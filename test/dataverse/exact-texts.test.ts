import fc from 'fast-check';
import { expect, it } from 'vitest';
import { parseWithTexts } from '../../src/dataverse/exact-texts.ts';

const all = { columns: [], fractions: true };

it('gives numbers that a double may change as texts, and no others', () => {
  const json =
    '{"a":0.10,"b": -12345678901234567.89,"c":5,"d":1E3,"e":123456789012345,"f":1234567890123456,"g":null,"h":[1.5],"i":{"j" : 2.50}}';
  expect(parseWithTexts(json, all)).toEqual({
    ...{ a: '0.10', b: '-12345678901234567.89', c: 5, d: '1E3', e: 123456789012345 },
    ...{ f: '1234567890123456', g: null, h: [1.5], i: { j: '2.50' } },
  });
  expect(parseWithTexts(json, { columns: ['c', 'a'], fractions: false })).toMatchObject({
    ...{ a: '0.10', c: '5', d: 1000, i: { j: 2.5 } },
  });
  expect(parseWithTexts(json, undefined)).toMatchObject({ a: 0.1 });
  expect(() => parseWithTexts('{"a":0.10', all)).toThrow(SyntaxError);
});

it('leaves what is no number of JSON an error', () => {
  for (const wrong of ['1.5.5', '01.5', '1--', '1.', '1e', '-', '1.5-', '00', '--1']) {
    for (const exact of [all, { columns: ['n'], fractions: false }]) {
      expect(() => parseWithTexts(`{"n":${wrong}}`, exact), wrong).toThrow(SyntaxError);
      expect(() => parseWithTexts(`{"x":["a,",":5.5"],"n":${wrong}}`, exact), wrong).toThrow(SyntaxError);
    }
  }
});

it('takes named members of rows alone, if rows within them are of other tables', () => {
  const row = '{"n":1.50,"s":"n","one":{"n":2.50,"m":3.5},"many":[{"n":5,"deep":{"n":12345678901234567}}]}';
  const exact = { columns: ['n'], fractions: false, ofRowsAlone: true };
  const found = {
    ...{ n: '1.50', s: 'n', one: { n: 2.5, m: 3.5 } },
    many: [{ n: 5, deep: { n: Number('12345678901234567') } }],
  };
  expect(parseWithTexts(row, exact)).toEqual(found);
  expect(parseWithTexts(`[${row},${row}]`, exact)).toEqual([found, found]);
  expect(parseWithTexts(`{"n":1,"value":[${row}]}`, exact)).toMatchObject({ value: [found] });
  expect(parseWithTexts(row, { ...exact, fractions: true })).toEqual({
    ...{ n: '1.50', s: 'n', one: { n: '2.50', m: '3.5' } },
    many: [{ n: 5, deep: { n: '12345678901234567' } }],
  });
});

it('reads long texts among texts that look like members', () => {
  const long = 'a'.repeat(10_000_000);
  expect(parseWithTexts(`{"x":["a,",":5.5"],"long":"${long}","n":1.50}`, all)).toMatchObject({ n: '1.50' });
});

it('leaves texts alone that look like members', () => {
  const texts = ['":5.0', ',":5.5"', '{"a": 1.50}', '\\', 'a\\', ',', '":1.5,"b":2.5', ': 12.5 kg', '{'];
  for (const a of texts) {
    for (const b of texts) {
      const value = { a, b, list: [a, b, ',', ':5.5'], [`${a}x`]: b, n: '' };
      const json = JSON.stringify(value).replace('"n":""', '"n":1.50');
      expect(parseWithTexts(json, all)).toEqual({ ...value, n: '1.50' });
      expect(parseWithTexts(json, { columns: ['n', 'a'], fractions: false })).toEqual({
        ...value,
        n: '1.50',
      });
    }
  }
});

it('is what JSON.parse gives, with the digits of numbers', () => {
  const decimal = fc.tuple(fc.bigInt(), fc.integer({ min: 1, max: 12 })).map(([n, places]) => {
    const digits = String(n < 0n ? -n : n).padStart(places + 1, '0');
    return `${n < 0n ? '-' : ''}${digits.slice(0, -places)}.${digits.slice(-places)}`;
  });
  fc.assert(
    fc.property(fc.jsonValue(), fc.string(), decimal, fc.boolean(), (any, text, number, space) => {
      const rest = JSON.stringify({ text, deep: { text, list: [text, text] } }, undefined, space ? 1 : 0);
      const json = `{"before":${JSON.stringify([text])},"number":${number},"rest":${rest}}`;
      const found = parseWithTexts(json, all) as { number: string };
      expect(found).toEqual({ ...JSON.parse(json), number });
      // Numbers of other values may be texts, which spell the same number.
      const plain = JSON.stringify(any);
      const asNumbers = JSON.stringify(parseWithTexts(`{"any":${plain}}`, all), (_, value) => value);
      expect(asNumbers.replaceAll(/"(-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)"(?!:)/g, '$1')).toBe(
        `{"any":${plain}}`.replaceAll(/"(-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)"(?!:)/g, '$1'),
      );
    }),
    { numRuns: 300 },
  );
});

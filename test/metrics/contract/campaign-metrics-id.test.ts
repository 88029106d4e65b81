import fc from 'fast-check';
import { expect, test } from 'vitest';
import { campaignMetricsId } from '../../../src/metrics/contract/campaign-metrics-id.ts';

test('the id is a UUID of version 5, always the same for the same key', () => {
  const id = campaignMetricsId({ campaignId: 'spring', runId: 'run-1', phase: '2-3' });
  expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  // With another id, every repeated record would become a second row.
  expect(id).toBe('0496d42a-1e9c-5e7b-93c2-1dfdad0f6736');
});

test('different keys have different ids, wherever one part ends and the next begins', () => {
  const part = fc.string({
    minLength: 1,
    maxLength: 4,
    unit: fc.constantFrom('a', 'b', ':', '"', ',', '\\', '['),
  });
  fc.assert(
    fc.property(fc.tuple(part, part, part), fc.tuple(part, part, part), (a, b) => {
      const id = ([campaignId, runId, phase]: [string, string, string]) =>
        campaignMetricsId({ campaignId, runId, phase });
      return (id(a) === id(b)) === (JSON.stringify(a) === JSON.stringify(b));
    }),
  );
});

const key = (campaignId: string) => campaignMetricsId({ campaignId, runId: 'r', phase: 'p' });

test.each([
  ['case', 'case', 'CASE'],
  ['accents', 'été', 'ete'],
  ['accents written as marks', 'e\u0301te\u0301', 'été'],
  ['trailing spaces', 'spring', 'spring  '],
  ['width', 'ｒｕｎ１', 'run1'],
  ['Cyrillic case', 'весна', 'ВЕСНА'],
])('keys that differ only in %s are one key, as in Dataverse', (_, a, b) => {
  expect(key(a)).toBe(key(b));
});

test.each([
  ['leading spaces', 'spring', ' spring'],
  ['inner spaces', 'a b', 'a  b'],
  ['vowel signs that are letters', 'कु', 'के'],
  ['digits', 'run-1', 'run-11'],
  ['symbols', '😀', '😁'],
])('keys that differ in %s are two keys', (_, a, b) => {
  expect(key(a)).not.toBe(key(b));
});

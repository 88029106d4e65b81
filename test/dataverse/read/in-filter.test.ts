import fc from 'fast-check';
import { expect, test } from 'vitest';
import { inFilter, maxUrlLength, splitValues } from '../../../src/dataverse/read/in-filter.ts';
import { queryPath, rowPath, stringLiteral } from '../../../src/dataverse/read/query.ts';
import { isLong } from '../../long.ts';

test('splits values into batches that contain each value once and fit into a URL', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.uuid(), fc.string({ unit: 'binary' })), { maxLength: 2000 }),
      (values) => {
        const base = 'https://organisation.crm.dynamics.com/api/data/v9.2/';
        const path = (batch: string[]) =>
          base + queryPath('accounts', { select: ['name'], filter: inFilter('accountid', batch) });
        const batches = splitValues(values, path([]).length);
        expect(batches.flat()).toEqual([...new Set(values)]);
        for (const batch of batches) expect(path(batch).length).toBeLessThanOrEqual(maxUrlLength);
      },
    ),
    { numRuns: isLong ? 30 : 10 },
  );
});

test('puts seven hundred ids into one request', () => {
  const ids = Array.from({ length: 700 }, (_, i) => `00000000-0000-4000-8000-${String(i).padStart(12, '0')}`);
  expect(splitValues(ids, 200)).toHaveLength(1);
});

test('encodes values so that they cannot change the query', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (value) => {
      const url = new URL(`http://x/${queryPath('accounts', { filter: inFilter('name', [value]) })}`);
      expect([...url.searchParams.keys()]).toEqual(['$filter']);
      const list = /^Microsoft\.Dynamics\.CRM\.In\(PropertyName='name',PropertyValues=(\[.*\])\)$/s.exec(
        url.searchParams.get('$filter')!,
      )![1]!;
      expect(JSON.parse(list)).toEqual([value.toWellFormed()]);
      const key = new URL(`http://x/${rowPath('accounts', { name: value })}`);
      expect([key.search, key.hash]).toEqual(['', '']);
      expect(decodeURIComponent(key.pathname)).toBe(`/accounts(name=${stringLiteral(value.toWellFormed())})`);
    }),
  );
});

test.each(['accounts/../x', 'accounts?$top=1', 'a b', '', '1a', 'a#b', 'a%2Fb', '$batch'])(
  'rejects %j as an entity set',
  (name) => {
    expect(() => queryPath(name)).toThrow('entity set name');
  },
);

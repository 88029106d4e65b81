import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readExactJson } from '../../../src/metrics/contract/exact-json.ts';

const read = (text: string) => readExactJson(Buffer.from(text));

test('every JSON value is read as it is', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 10 }), fc.constantFrom(0, 1, '\t'), (value, space) => {
      const text = JSON.stringify(
        value,
        (_, v) => (typeof v === 'number' ? Number(v.toPrecision(15)) : v),
        space,
      );
      expect(read(text)).toEqual({ value: JSON.parse(text), faults: [] });
    }),
  );
});

test('faults have the path of their place', () => {
  const text =
    '[{"a/b":[1,{"~":1e-400,"c":"}","c":{}}]},"[", {"x\\u0079":1,"xy":[]}, 0.10000000000000000001]';
  expect(read(text)).toMatchObject({
    faults: [
      { path: '/0/a~1b/1/~0', detail: 'has more digits than can be kept exactly' },
      { path: '/0/a~1b/1/c', detail: 'is given more than once' },
      { path: '/2/xy', detail: 'is given more than once' },
      { path: '/3', detail: 'has more digits than can be kept exactly' },
    ],
  });
});

import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseTombstone } from '../../../src/dataverse/read/change-tracking.ts';
import { PageFormatError, parseRows, scanPage } from '../../../src/dataverse/read/page.ts';
import { sharedAbsent, sharedPath } from '../../shared.ts';

const json = fc.jsonValue({ maxDepth: 3 });
const rows = fc
  .array(fc.dictionary(fc.string(), json), { maxLength: 8 })
  .map((list) => JSON.parse(JSON.stringify(list)) as unknown[]);
const others = fc.array(
  fc.tuple(
    fc
      .oneof(fc.string(), fc.constantFrom('@odata.context', 'Value', 'values', '@odata.count'))
      .filter(
        (key) =>
          ![
            'value',
            'error',
            '__proto__',
            '@odata.nextLink',
            '@nextLink',
            '@odata.deltaLink',
            '@deltaLink',
          ].includes(key),
      ),
    json,
  ),
  { maxLength: 4 },
);

/** A page with members in any order and any white space. */
const pages = fc
  .record({
    rows,
    before: others,
    after: others,
    link: fc.option(fc.string()),
    indent: fc.constantFrom(0, 1, '\t', '\n '),
  })
  .map(({ rows: list, before, after, link, indent }) => {
    const members = [...before, ['value', list] as const, ...after];
    if (link !== null) members.splice(link.length % (members.length + 1), 0, ['@odata.nextLink', link]);
    const text = members
      .map(([key, value]) => `${JSON.stringify(key)} : ${JSON.stringify(value, null, indent)}`)
      .join(' ,\n');
    return { text: `${link === null ? '' : '\uFEFF'} {${text}\r\n}\n`, rows: list, link };
  });

test('finds rows and links in any order, white space and company', () => {
  fc.assert(
    fc.property(pages, (page) => {
      const found = scanPage(Buffer.from(page.text));
      expect(parseRows(found)).toEqual(page.rows);
      expect(found.nextLink).toBe(page.link ?? undefined);
    }),
    { numRuns: 500 },
  );
});

test('finds the end of the rows in long pages, with arrays, brackets and quotes after them', () => {
  const filler = Array.from({ length: 2000 }, (_, i) => ({ id: i, text: `some ]} text "${i}" \\` }));
  fc.assert(
    fc.property(others, rows, fc.string(), (after, last, link) => {
      const list = [...filler, ...last];
      const members = [['value', list] as const, ...after, ['@odata.nextLink', link] as const];
      const text = `{${members.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join()}}`;
      const found = scanPage(Buffer.from(text));
      expect(parseRows(found)).toEqual(list);
      expect(found.nextLink).toBe(link);
    }),
    { numRuns: 60 },
  );
});

test('rejects a page that is cut short anywhere', () => {
  const whole = Buffer.from(
    JSON.stringify({
      '@odata.context': 'c',
      value: [{ a: '"]}', b: [1, { c: [] }] }, { d: null }],
      '@odata.nextLink': 'http://x/]',
    }),
  );
  for (let length = 0; length < whole.length; length += 1)
    expect(() => scanPage(whole.subarray(0, length))).toThrow();
  expect(() => scanPage(Buffer.concat([whole, Buffer.from('x')]))).toThrow();
  const long = Buffer.from(
    JSON.stringify({
      value: Array.from({ length: 3000 }, (_, i) => ({ id: i, list: [{ text: 'long enough' }] })),
    }),
  );
  for (let length = long.length - 400; length < long.length; length += 1)
    expect(() => scanPage(long.subarray(0, length))).toThrow();
});

test.each([
  ['', 'empty'],
  ['[]', 'no "value"'],
  ['null', 'no "value"'],
  ['{"value":{}}', 'no "value"'],
  ['{"a":{"value":[]}}', 'no "value"'],
  ['<html>"value":[', 'not JSON'],
  ['{"value":[],"value":[1]}', 'more than once'],
  ['{"value":[],"error":{"code":"0x1","message":"m"}}', 'contains an error'],
])('rejects %s', (text, reason) => {
  expect(() => scanPage(Buffer.from(text))).toThrow(reason);
});

test('reads a tombstone from its own members only, not from text', () => {
  const tombstone = (value: unknown) => parseTombstone(Buffer.from(JSON.stringify(value)));
  expect(
    tombstone({ '@odata.context': 'x/$metadata#accounts/$deletedEntity', id: 'ABC', reason: 'deleted' }),
  ).toEqual({ id: 'abc' });
  expect(tombstone({ '@removed': { reason: 'deleted' }, '@id': 'https://x/accounts(AB-C)' })).toEqual({
    id: 'ab-c',
  });
  expect(tombstone({ accountid: 'a', name: 'see $deletedEntity and "@removed"' })).toBeUndefined();
  expect(tombstone({ accountid: 'a' })).toBeUndefined();
  expect(tombstone({ '@removed': {}, '@id': 'accounts()' })).toBeUndefined();
  fc.assert(fc.property(fc.uint8Array(), (bytes) => parseTombstone(bytes) === undefined || false));
});

const recorded = sharedPath('odata');

describe.skipIf(recorded === undefined)(
  `recorded responses of an independent OData server (skipped: ${sharedAbsent})`,
  () => {
    const files =
      recorded === undefined ? [] : readdirSync(recorded).filter((name) => /^\d.*\.json$/.test(name));

    test.each(files)('%s', (name) => {
      const body = readFileSync(sharedPath('odata', name)!);
      const whole = JSON.parse(body.toString());
      const page = scanPage(body);
      expect(parseRows(page)).toEqual(whole.value);
      expect(page.nextLink).toBe(whole['@odata.nextLink']);
      expect(page.deltaLink).toBe(whole['@odata.deltaLink']);
      const deleted = whole.value.filter(
        (row: Record<string, unknown>) =>
          String(row['@odata.context']).endsWith('$deletedEntity') || '@removed' in row,
      );
      const found = whole.value.filter(
        (row: unknown) => parseTombstone(Buffer.from(JSON.stringify(row))) !== undefined,
      );
      expect(found).toEqual(deleted);
    });

    test('a Dataverse page with a real skiptoken', () => {
      const body = readFileSync(sharedPath('dataverse', 'responses', 'contacts-page-with-nextlink.json')!);
      const whole = JSON.parse(body.toString());
      const page = scanPage(body);
      expect(page.nextLink).toBe(whole['@odata.nextLink']);
      expect(parseRows(page)).toEqual(whole.value);
    });
  },
);

test.each([
  '{"a":1}',
  '{"message":"err","code":"5"}',
  '{"value":1}',
  '{"value"',
  '{"value":',
  '{"value": [',
  '"value":[]',
  '{',
  '',
])('the short body %s is no page, and says so', (body) => {
  expect(() => scanPage(Buffer.from(body))).toThrow(PageFormatError);
});

test('any cut of a page is reported as a page that cannot be read', () => {
  const page = Buffer.from(
    '{"@odata.context":"https://x/$metadata#accounts","value":[{"name":"a\\\\\\"value\\":["}],"@odata.nextLink":"y"}',
  );
  for (let length = 0; length < page.length; length++) {
    expect(() => scanPage(page.subarray(0, length)), String(length)).toThrow(PageFormatError);
  }
  expect(scanPage(page)).toMatchObject({ nextLink: 'y', entitySet: 'accounts' });
});

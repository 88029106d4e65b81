import { describe, expect, it } from 'vitest';
import { formatResult } from '../../src/cli/query/format-result.ts';
import { type Format, parseQueryOptions } from '../../src/cli/query/query-options.ts';
import type { QueryResult } from '../../src/mirror/query-result.ts';

const result: QueryResult = {
  columns: ['id', 'name', 'id'],
  rows: [
    [1, 'a, "b"', 9007199254740993n],
    [null, '', new Uint8Array([0, 255])],
    [-2.5, 'two\nlines \u001b[31m', Number.POSITIVE_INFINITY],
  ],
  isComplete: true,
};
const format = (as: Format, width?: number) => [...formatResult(result, as, width)].join('');

describe('the result of a query', () => {
  it('is JSON with exact integers', () => {
    expect(format('json')).toContain('{"id":1,"name":"a, \\"b\\"","id_2":9007199254740993}');
    expect(JSON.parse(format('json'))).toHaveLength(3);
    expect([...formatResult({ columns: ['a'], rows: [], isComplete: true }, 'json')].join('')).toBe('[]\n');
  });

  it('is CSV in which NULL is not an empty text', () => {
    expect(format('csv')).toBe(
      'id,name,id\r\n1,"a, ""b""",9007199254740993\r\n,"",AP8=\r\n-2.5,"two\nlines \u001b[31m",Infinity\r\n',
    );
  });

  it('is a table without characters that a terminal obeys', () => {
    const lines = format('table').split('\n');
    expect(lines.slice(0, 2)).toEqual(
      ['  id  name            id', '----  --------------  ----------------'].map((line) =>
        expect.stringContaining(line.slice(0, 6)),
      ),
    );
    expect(format('table')).not.toContain('\u001b');
    expect(lines).toHaveLength(6);
    expect(
      format('table', 10)
        .split('\n')
        .every((line) => line.length <= 10),
    ).toBe(true);
  });
});

describe('the options of a query', () => {
  it('choose the format by where the result goes', () => {
    expect(parseQueryOptions(['my.db', 'SELECT 1'], true)).toMatchObject({ format: 'table', maxRows: 1000 });
    expect(parseQueryOptions(['my.db', 'SELECT 1'], false)).toMatchObject({
      format: 'csv',
      maxRows: undefined,
    });
    expect(
      parseQueryOptions(
        [
          'my.db',
          '-',
          '--format',
          'json',
          '--param',
          'a',
          '--param=-1',
          '--max-rows',
          '5',
          '--timeout',
          '1.5',
        ],
        true,
      ),
    ).toMatchObject({ sql: '-', format: 'json', parameters: ['a', '-1'], maxRows: 5, timeoutMs: 1500 });
  });

  it.each([
    [['my.db'], 'Give a mirror and one statement.'],
    [['my.db', 'SELECT', '1'], 'Give a mirror and one statement.'],
    [['my.db', 'SELECT 1', '--format', 'xml'], '--format is none of'],
    [['my.db', 'SELECT 1', '--max-rows', '0'], '--max-rows is not a positive number'],
  ])('%j are rejected', (args, message) => {
    expect(() => parseQueryOptions(args, true)).toThrow(message);
  });
});

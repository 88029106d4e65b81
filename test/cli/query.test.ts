import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
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
    [['my.db', 'SELECT 1', '--max-rows', '0'], '--max-rows is not a positive whole number'],
  ])('%j are rejected', (args, message) => {
    expect(() => parseQueryOptions(args, true)).toThrow(message);
  });
});

describe('the command query', () => {
  const main = resolve(import.meta.dirname, '../../dist/cli/main.js');
  const many =
    "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n LIMIT 5000) SELECT i, printf('%.*c', 90, 'x') FROM n";
  let folder: string;
  let file: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'query-'));
    file = join(folder, 'my.db');
    const db = new DatabaseSync(file);
    db.exec('CREATE TABLE t (x)');
    db.close();
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('writes all rows to a slow reader', async () => {
    const child = spawn(process.execPath, [main, 'query', file, many, '--format', 'csv'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    // The pipe is full long before it is read.
    await once(child, 'spawn');
    const ended = once(child, 'close');
    let lines = 0;
    for await (const chunk of child.stdout) lines += String(chunk).split('\n').length - 1;
    expect([(await ended)[0], lines]).toEqual([0, 5001]);
  });

  it('ends quietly when nobody reads further', async () => {
    const { stdout, stderr } = await promisify(execFile)('bash', [
      '-c',
      `"$0" "$1" query "$2" "$3" --format csv | head -1`,
      ...[process.execPath, main, file, many],
    ]);
    expect([stdout, stderr]).toEqual(["i,\"printf('%.*c', 90, 'x')\"\r\n", '']);
  });

  it('says with its exit status that options are wrong', async () => {
    const run = promisify(execFile);
    for (const args of [
      ['query'],
      ['query', file, 'SELECT 1', '--format', 'xml'],
      ['mcp'],
      ['help', 'constructor'],
    ]) {
      const code = await run(process.execPath, [main, ...args]).then(
        () => 0,
        (error: { code: number }) => error.code,
      );
      expect(code, args.join(' ')).toBe(2);
    }
  });
});

import { HttpRequest } from '@azure/functions';
import { expect, test } from 'vitest';
import { listQuery, readQuery, summaryQuery } from '../../../src/http/metrics/read-query.ts';
import { Problem } from '../../../src/http/problem.ts';

const request = (query: string) =>
  new HttpRequest({ method: 'GET', url: `https://app.example/api/metrics/campaign?${query}` });

test('times become UTC, the limit has a default, and the function key is ignored', () => {
  expect(readQuery(request('code=key&since=2026-11-21T10:00:00%2B02:00&campaignId=a'), listQuery)).toEqual({
    limit: 10,
    since: '2026-11-21T08:00:00Z',
    campaignId: 'a',
  });
  expect(readQuery(request(''), summaryQuery)).toEqual({});
});

test('every fault is reported with its path', () => {
  const query = 'limit=0&limit=501&since=yesterday&colour=red&__proto__=1&campaignId=';
  let problem: unknown;
  try {
    readQuery(request(query), listQuery);
  } catch (error) {
    problem = error;
  }
  expect(problem).toBeInstanceOf(Problem);
  const { status, hint, errors } = (problem as Problem).document;
  expect([status, hint]).toEqual([400, 'Correct the faults in `errors`.']);
  expect((errors as { path: string; detail: string }[]).map(({ path }) => path).sort()).toEqual(
    ['/limit', '/limit', '/since', '/colour', '/__proto__', '/campaignId'].sort(),
  );
  expect(errors).toEqual(
    expect.arrayContaining([
      { path: '/limit', detail: 'is given more than once' },
      { path: '/limit', detail: 'must be at most 500' },
      { path: '/colour', detail: 'is not a parameter of this resource' },
    ]),
  );
});

test.each(['0', '501', '1000', '0x10', '1e2', '+5', ' 5', '5.0', '-1', '', '05'])(
  'rejects limit=%j',
  (limit) => {
    expect(() => readQuery(request(`limit=${encodeURIComponent(limit)}`), listQuery)).toThrow(Problem);
  },
);

test.each([1, 10, 500])('accepts limit=%i', (limit) => {
  expect(readQuery(request(`limit=${limit}`), listQuery)).toEqual({ limit });
});

test('rejects an empty page, and counts lengths in UTF-16 units', () => {
  expect(() => readQuery(request('page='), listQuery)).toThrow(Problem);
  const filter = (count: number) => `campaignId=${encodeURIComponent('💶'.repeat(count))}`;
  expect(() => readQuery(request(filter(33)), listQuery)).toThrow(Problem);
  expect(readQuery(request(filter(32)), listQuery)).toMatchObject({ campaignId: '💶'.repeat(32) });
});

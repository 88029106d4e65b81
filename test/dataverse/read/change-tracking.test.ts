import { expect, it } from 'vitest';
import { deltaTokenVersion } from '../../../src/dataverse/read/change-tracking.ts';

const link = (token: string): string =>
  `https://a.crm.dynamics.com/api/data/v9.2/accounts?$select=name&${token}`;

it('reads the version of a delta token, also one that exceeds 2^53', () => {
  const version = (token: string) => deltaTokenVersion(link(token));
  expect(version('$deltatoken=919042%2108%2f22%2f2017%2008%3a10%3a44')).toBe(919_042n);
  expect(version('%24deltatoken=9007199254740993!08/22/2017 08:10:44&$top=1')).toBe(9_007_199_254_740_993n);
});

it.each([
  '$deltatoken=abc',
  '$deltatoken=919042',
  '$deltatoken=%zz',
  '$deltatoken=',
  '$deltatoken=12!{x}',
  '$skiptoken=1!2',
])('finds no version in %s', (token) => expect(deltaTokenVersion(link(token))).toBeUndefined());

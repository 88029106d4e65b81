import { expect, test } from 'vitest';
import { keepSetting } from '../../src/config/parse-settings.ts';

const setting = keepSetting('5', 1, 1000);

test.each([
  [undefined, { count: 5 }],
  ['20', { count: 20 }],
  [' 1 ', { count: 1 }],
  ['7d', { count: 1000, seconds: 604_800 }],
  ['12h', { count: 1000, seconds: 43_200 }],
  ['20,7d', { count: 20, seconds: 604_800 }],
  ['20 , 36h', { count: 20, seconds: 129_600 }],
])('%s', (text, expected) => {
  expect(setting.parse(text)).toEqual(expected);
});

test.each(['0', '1001', '-1', '1.5', 'all', '0d', '7m', '7d,20', '20,7', '20,', ',7d', '20,7d,1', '20 7d'])(
  '%s is rejected',
  (text) => {
    expect(setting.safeParse(text).error?.issues[0]?.message).toBe(
      'must be a number from 1 to 1000, an age such as 12h or 7d, or both such as 20,7d',
    );
  },
);

import { expect, test } from 'vitest';
import { prefersHtml } from '../../src/http/accept.ts';

test.each([
  ['text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8', true],
  ['text/html', true],
  ['TEXT/HTML; charset=utf-8', true],
  ['text/*, application/json;q=0.5', true],
  [null, false],
  ['', false],
  ['*/*', false],
  ['application/json', false],
  ['application/json, text/html', false],
  ['application/json, text/html;q=0.9', false],
  ['text/html;q=0', false],
  ['text/html;q=high', false],
])('Accept: %s', (accept, expected) => {
  expect(prefersHtml(accept)).toBe(expected);
});

import { expect, test } from 'vitest';
import { SyncError } from '../src/errors.ts';
import {
  printable,
  printableJson,
  redact,
  rememberSecret,
  rememberToken,
  safeLine,
  safeText,
} from '../src/safe-text.ts';
import { logLine } from '../src/telemetry/telemetry.ts';

const hostile = '\u001b]0;title\u0007\u001b[2J\u009b31mred\u202efdp.exe\u2066';

test('characters that a terminal obeys, or that reorder text, become escapes', () => {
  expect(printable(hostile)).toBe('\\u001b]0;title\\u0007\\u001b[2J\\u009b31mred\\u202efdp.exe\\u2066');
  expect(printable('Tabs\tand\nlines, Ünïcödé, 漢字, 👩‍🚀 and עברית stay.')).toBe(
    'Tabs\tand\nlines, Ünïcödé, 漢字, 👩‍🚀 and עברית stay.',
  );
  for (let code = 0; code < 0x20; code++) {
    if (code === 9 || code === 10) continue;
    expect(printable(String.fromCharCode(code))).toMatch(/^\\u00[01][0-9a-f]$/);
  }
});

test('a line has no line breaks', () => {
  expect(safeLine(' one\r\n  two\u2028three ')).toBe('one two three');
});

test('secrets of this process are found in every encoding', () => {
  const secret = 'S3cret~with/odd+chars=and more';
  rememberSecret(secret);
  const forms = [
    secret,
    encodeURIComponent(secret),
    Buffer.from(secret).toString('base64'),
    Buffer.from(secret).toString('base64url'),
  ];
  for (const form of forms) expect(redact(`before ${form} after`)).toBe('before [secret] after');
});

test('a secret is found inside of an encoded text', () => {
  const secret = 'Wrapped~secret/with+odd=chars, long';
  rememberSecret(secret);
  for (const around of ['', 'B', 'Be', 'Bearer ']) {
    for (const encoding of ['base64', 'base64url'] as const) {
      const encoded = Buffer.from(`${around}${secret}${around} and more`).toString(encoding);
      const safe = redact(encoded);
      expect(safe).toContain('[secret]');
      // At most a byte at each end is left.
      expect(Buffer.from(safe.replace(/.*\[secret\]/, ''), encoding).toString('latin1')).not.toContain(
        'long',
      );
      expect(safe.length).toBeLessThan(encoded.length - 30);
    }
  }
  const form = new URLSearchParams({ client_id: 'x', secret, y: 'z' }).toString();
  expect(redact(form)).toBe('client_id=x&secret=[secret]&y=z');
  const lower = encodeURIComponent(secret).replace(/%../g, (hex) => hex.toLowerCase());
  expect(redact(`t=${lower}`)).toBe('t=[secret]');
  expect(redact(JSON.stringify({ text: `a "quoted ${secret}"` }))).toBe('{"text":"a \\"quoted [secret]\\""}');
});

test('a secret that a terminal has wrapped is found in each of its lines', () => {
  rememberSecret('first-line-of-a-token\nsecond-line-of-a-token');
  expect(redact('x first-line-of-a-token y')).toBe('x [secret] y');
  expect(safeLine('first-line-of-a-token\n second-line-of-a-token')).toBe('[secret] [secret]');
});

test('the user and password in an address are removed', () => {
  expect(redact('via http://user:pass%40word@proxy.example:8080/x and https://token@host/')).toBe(
    'via http://[secret]@proxy.example:8080/x and https://[secret]@host/',
  );
  expect(redact('Proxy-Authorization: Basic dXNlcjpwYXNzd29yZA== and Basic access')).toBe(
    'Proxy-Authorization: Basic [secret] and Basic access',
  );
  expect(redact('https://contoso.example/api?name=a@b.example')).toBe(
    'https://contoso.example/api?name=a@b.example',
  );
});

test.each([
  'Basic Authentication is disabled',
  'Basic Salesperson, Basic User',
  'https://x.crm.dynamics.com,admin@contoso.com',
  'https://x.crm.dynamics.com;admin@contoso.com',
])('%s has no secret', (text) => expect(redact(text)).toBe(text));

test('a password with separators is removed from an address, and base64 without digits from a header', () => {
  expect(redact('http://user:pa,ss;word@proxy')).toBe('http://[secret]@proxy');
  expect(redact('http://us,er:Passw0rdLong@proxy')).toBe('http://[secret]@proxy');
  expect(redact('Basic dXNlcjpwYXNzQUJDREVG and Basic YWJjZGVm==')).toBe('Basic [secret] and Basic [secret]');
});

test('a secret is found in strict percent-encoding and in HTML', () => {
  const secret = `strict*(and)!'quoted"&more`;
  rememberSecret(secret);
  const strict = encodeURIComponent(secret).replace(
    /[!'()*]/g,
    (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  for (const form of [strict, strict.toLowerCase(), 'strict*(and)!&#39;quoted&quot;&amp;more'])
    expect(redact(`before ${form} after`)).toBe('before [secret] after');
  expect(() => rememberToken('abcdefghijkl\ud800x')).not.toThrow();
});

test('JSON for a terminal has no character that it obeys, and stays JSON', () => {
  const json = printableJson({ text: hostile });
  expect(json).toBe(printable(json));
  expect(json).not.toContain('\u009b');
  expect(JSON.parse(json)).toEqual({ text: hostile });
});

test('what looks like a secret is replaced, whoever it belongs to', () => {
  expect(redact('got eyJhbGciOiJ.eyJzdWIiOiIx.c2lnbmF0dXJl from Bearer abc.defgh1')).toBe(
    'got [token] from Bearer [token]',
  );
  expect(redact('AccountName=a;AccountKey=Zm9v/YmFy+==;EndpointSuffix=x')).toBe(
    'AccountName=a;AccountKey=[secret];EndpointSuffix=x',
  );
  expect(redact('GET /api/sync?code=abcdef&sig=xyz%2F')).toBe('GET /api/sync?code=[secret]&sig=[secret]');
  expect(redact('POST … client_secret=hidden&scope=x')).toBe('POST … client_secret=[secret]&scope=x');
});

test('ordinary words are not taken for secrets', () => {
  rememberSecret('sample');
  rememberSecret('');
  rememberSecret(undefined);
  expect(redact('a sample, status code=0x80072322, the bearer of news')).toBe(
    'a sample, status code=0x80072322, the bearer of news',
  );
});

test('secrets stay, and of tokens only the latest', () => {
  rememberSecret('a-client-secret-of-years');
  for (let n = 0; n < 60; n++) rememberToken(`token-number-${n}-of-sixty`);
  expect(redact('a-client-secret-of-years token-number-59-of-sixty')).toBe('[secret] [secret]');
  expect(redact('token-number-1-of-sixty')).toBe('token-number-1-of-sixty');
});

test('a log line ends with JSON, whatever is in its properties', () => {
  const values = [
    'GET "https://x/api?code=abcdef" failed',
    'AccountKey=abc"def\\ghi',
    'sig=x ?sig=abc\nnext line',
    '{"client_secret":"very secret"}',
    `\u0000\u2028${hostile}`,
  ];
  for (const what of values) {
    const [, json] = /^m (\{.*\})$/s.exec(logLine('m', { what, n: 1 }))!;
    expect(JSON.parse(json!)).toEqual({ what: safeText(what), n: 1 });
  }
  expect(safeText(values[0]!)).toBe('GET "https://x/api?code=[secret]" failed');
  expect(safeText(values[2]!)).toBe('sig=x ?sig=[secret]\nnext line');
  expect(safeText(values[3]!)).toBe('{"client_secret":"[secret]"}');
});

test('ordinary texts stay as they are', () => {
  for (const text of [
    'use the bearer authentication scheme',
    'status code=0x80072322',
    'design=1&codes=2',
    'one\n\ttwo',
  ]) {
    expect(safeText(text)).toBe(text);
  }
  expect(safeText('one\r\ntwo')).toBe('one\ntwo');
});

test('errors and log lines contain neither secrets nor escape sequences', () => {
  rememberSecret('the-token-in-use-today');
  const error = new SyncError(`Dataverse said ${hostile} the-token-in-use-today`, { hint: `Do ${hostile}` });
  for (const text of [
    error.message,
    error.hint!,
    logLine(`Log ${hostile}`, { what: `the-token-in-use-today ${hostile}` }),
  ]) {
    expect(text).not.toContain('the-token-in-use-today');
    expect(text).toBe(printable(text));
  }
});

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodePart, parseMultipart } from '../../../src/dataverse/transport/multipart.ts';
import type { BatchReply } from '../../../src/dataverse/write/batch.ts';
import { clientFor, startServer } from '../http-server.ts';

const lines = (...text: string[]) => text.join('\r\n');

test('sends change sets with CRLF and content ids, and reads every reply with its error', async () => {
  const answer = lines(
    '--batchresponse_1',
    'Content-Type: multipart/mixed; boundary=changesetresponse_2',
    '',
    '--changesetresponse_2',
    'Content-Type: application/http',
    'Content-ID: 1',
    '',
    'HTTP/1.1 204 No Content',
    'OData-EntityId: http://x/api/data/v9.2/accounts(1)',
    '',
    '',
    '--changesetresponse_2',
    'Content-Type: application/http',
    'Content-ID: 2',
    '',
    'HTTP/1.1 204 No Content',
    '',
    '',
    '--changesetresponse_2--',
    '--batchresponse_1',
    'Content-Type: application/http',
    '',
    'HTTP/1.1 404 Not Found',
    'Content-Type: application/json; odata.metadata=minimal',
    '',
    '{"error":{"code":"0x80040217","message":"account Does Not Exist"}}',
    '--batchresponse_1--',
    '',
  );
  await using server = await startServer((_, response) => {
    response.writeHead(200, { 'content-type': 'multipart/mixed; boundary=batchresponse_1' }).end(answer);
  });
  const [set, missing] = await clientFor(server).batch(
    [
      {
        changeSet: [
          { method: 'POST', path: 'accounts', body: { name: 'A' } },
          { method: 'PATCH', path: '$1', body: { name: 'B' } },
        ],
      },
      { method: 'GET', path: 'accounts(00000000-0000-4000-8000-000000000001)' },
    ],
    { continueOnError: true },
  );
  expect((set as BatchReply[]).map(({ status }) => status)).toEqual([204, 204]);
  expect((set as BatchReply[])[0]!.headers.get('odata-entityid')).toContain('accounts(1)');
  expect(missing).toMatchObject({
    status: 404,
    error: { name: 'DataverseError', fault: { code: '0x80040217' } },
  });
  const { body, headers } = server.requests[0]!;
  expect(body.replaceAll('\r\n', '')).not.toMatch(/[\r\n]/);
  expect(body).toContain('Content-ID: 2\r\n\r\nPATCH $1 HTTP/1.1\r\n');
  expect(headers['prefer']).toBe('odata.continue-on-error');
});

test('reads the replies of a batch that ends at its first failure', async () => {
  const body = lines(
    '--b',
    'Content-Type: application/http',
    '',
    'HTTP/1.1 400 Bad Request',
    'Content-Type: application/json',
    '',
    '{"error":{"code":"0x80044331","message":"too long"}}',
    '--b--',
    '',
  );
  await using server = await startServer((_, response) => {
    response.writeHead(400, { 'content-type': 'multipart/mixed; boundary=b' }).end(body);
  });
  const answers = await clientFor(server).batch([
    { method: 'PATCH', path: 'accounts(1)', body: {} },
    { method: 'PATCH', path: 'accounts(2)', body: {} },
  ]);
  expect(answers).toMatchObject([{ status: 400, error: { name: 'DataverseError' } }, undefined]);
});

test('rejects a line break in a header', () => {
  expect(() => encodePart({}, 'GET x HTTP/1.1', { 'X-A': 'b\r\nX-C: d' }, '')).toThrow(RangeError);
});

test('parses a complete multipart body and rejects one that is cut short', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'grapheme' }), { maxLength: 5 }), fc.nat(), (bodies, cut) => {
      const bytes = Buffer.from(
        `${bodies.map((body) => lines('--q9x', 'Content-Type: application/http', '', 'HTTP/1.1 200 OK', 'A: b', '', body, '')).join('')}--q9x--\r\n`,
      );
      fc.pre(!bodies.some((body) => body.includes('--q9x')));
      const parts = parseMultipart(bytes, 'multipart/mixed; boundary=q9x');
      expect(parts.map(({ body }) => body.toString())).toEqual(
        bodies.map((body) => Buffer.from(body).toString()),
      );
      const whole = bytes.length - 4;
      expect(() => parseMultipart(bytes.subarray(0, cut % whole), 'multipart/mixed; boundary=q9x')).toThrow();
    }),
  );
});

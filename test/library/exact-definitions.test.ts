import { expect, test } from 'vitest';
import { parseExact, toJson } from '../../src/dataverse/write/exact-number.ts';
import { startServer } from '../dataverse/http-server.ts';
import { connect } from './sample.ts';

test('keeps the digits of numbers that a double would change', () => {
  const json = '{"a":[9223372036854775807,-0.10,1E5,12,1.5,true,null],"1":"\\"9223372036854775807"}';
  expect(toJson(parseExact(json))).toBe(
    '{"1":"\\"9223372036854775807","a":[9223372036854775807,-0.10,1E5,12,1.5,true,null]}',
  );
  expect(parseExact('{"a":12,"b":"x"}')).toEqual({ a: 12, b: 'x' });
  expect(() => parseExact('{"a":12.}')).toThrow();
});

test('updates a definition without changing its other numbers', async () => {
  await using server = await startServer((request, response) => {
    if (request.method !== 'GET') return response.writeHead(204).end();
    response.setHeader('content-type', 'application/json');
    response.end('{"LogicalName":"new_big","MaxValue":9223372036854775807,"MinValue":-9223372036854775808}');
  });
  await connect(server).metadata.updateColumn('account', 'new_big', { SchemaName: 'new_Big' });
  expect(server.requests.at(-1)!.body).toBe(
    '{"LogicalName":"new_big","MaxValue":9223372036854775807,"MinValue":-9223372036854775808,"SchemaName":"new_Big"}',
  );
});

import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { castSql, type PostgresType } from '../../../src/target/postgres/schema/column-types.ts';
import { startPostgres } from '../../postgres.ts';

let client: pg.Client;

beforeAll(async () => {
  client = new pg.Client(await (await startPostgres()).createDatabase());
  await client.connect();
});
afterAll(() => client.end());

const id = '0f8fad5b-d9cb-469f-a165-70867728950e';

describe('values keep what they say when their column gets another type', () => {
  const cases: [from: string, value: string, to: PostgresType, expected: string | null][] = [
    ['boolean', 'true', 'smallint', '1'],
    ['boolean', 'false', 'numeric', '0'],
    ['smallint', '7', 'bigint', '7'],
    ['integer', '1', 'boolean', 'true'],
    ['integer', '2', 'boolean', null],
    ['bigint', '40000', 'smallint', null],
    ['double precision', '3', 'integer', '3'],
    ['double precision', '3.5', 'integer', null],
    ['numeric(20,4)', '1.5', 'numeric', '1.5000'],
    ['numeric(20,4)', '12', 'bigint', '12'],
    ['character varying(50)', id, 'uuid', id],
    ['text', 'no guid', 'uuid', null],
    ['text', '99999999999999999999', 'bigint', null],
    ['text', '1.25', 'double precision', '1.25'],
    ['text', '1e999', 'double precision', null],
    ['uuid', id, 'text', id],
    [
      'timestamp(0) with time zone',
      '2024-02-29T12:00:00Z',
      'timestamp with time zone',
      '2024-02-29 12:00:00+00',
    ],
    ['timestamp without time zone', '2024-02-29 12:00', 'timestamp with time zone', '2024-02-29 12:00:00+00'],
    ['timestamp with time zone', '2024-02-29T23:00:00Z', 'date', '2024-02-29'],
    ['text', '2024-02-31', 'date', null],
    ['text', '2024-02-29', 'date', '2024-02-29'],
    ['text', '1900-02-29', 'date', null],
    ['text', '2000-02-29', 'date', '2000-02-29'],
    ['text', '0000-01-01', 'date', null],
    ['text', '2024-11-30T23:59:59.5Z', 'timestamp with time zone', '2024-11-30 23:59:59.5+00'],
    ['text', '2024-11-30 12:00:00+02', 'timestamp with time zone', '2024-11-30 10:00:00+00'],
    ['text', '2024-11-31 12:00:00+02', 'timestamp with time zone', null],
    ['text', 'yesterday', 'timestamp with time zone', null],
    ['json', '{"a":1}', 'jsonb', '{"a": 1}'],
  ];
  it.each(cases)('%s %s as %s', async (from, value, to, expected) => {
    await client.query(`BEGIN; SET LOCAL TIME ZONE 'UTC'; CREATE TEMP TABLE cast_values (c ${from})`);
    try {
      await client.query('INSERT INTO cast_values VALUES ($1), (NULL)', [value]);
      await client.query(`ALTER TABLE cast_values ALTER COLUMN c TYPE ${to} USING ${castSql('c', from, to)}`);
      const { rows } = await client.query('SELECT c::text AS c FROM cast_values');
      expect(rows).toEqual([{ c: expected }, { c: null }]);
    } finally {
      await client.query('ROLLBACK');
    }
  });
});

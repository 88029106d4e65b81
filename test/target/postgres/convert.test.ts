import { beforeAll, describe, expect, it, test } from 'vitest';
import type { TableConfig } from '../../../src/config/entities.ts';
import { postgresAddress } from '../../../src/config/postgres/postgres-address.ts';
import type { Table } from '../../../src/schema/table.ts';
import { storableTables } from '../../../src/target/common/storable-tables.ts';
import { convert, copyField } from '../../../src/target/postgres/rows/convert.ts';
import { Repairs } from '../../../src/target/postgres/rows/repairs.ts';
import type { PostgresType } from '../../../src/target/postgres/schema/column-types.ts';
import { postgresEngine, storedName } from '../../../src/target/postgres/schema/names.ts';
import { emptyState } from '../../../src/target/state.ts';
import { startPostgres, withClient } from '../../postgres.ts';

let address: string;

beforeAll(async () => {
  address = await (await startPostgres()).createDatabase();
});

/** What PostgreSQL makes of the text, or the error that it reports. */
const stored = (text: string, type: PostgresType): Promise<string> =>
  withClient(address, async (client) => {
    const { rows } = await client.query({ text: `SELECT ($1::text)::${type}::text AS v`, values: [text] });
    return String(rows[0].v);
  });

/** The text and what was repaired. */
function converted(value: string | number, type: PostgresType): [string | null, string[]] {
  const repairs = new Repairs();
  const text = convert(value, type, (repair) => repairs.add('c', repair));
  return [text, repairs.notes()];
}

const isNull = ['PostgreSQL cannot store 1 values of c: they are NULL'];

describe('values that PostgreSQL has, too', () => {
  const cases: [PostgresType, string | number][] = [
    ['uuid', '0f8fad5b-d9cb-469f-a165-70867728950e'],
    ['smallint', '-32768'],
    ['integer', '2147483647'],
    ['bigint', '-9223372036854775808'],
    ['numeric', '-12345678901234567890.1234567890'],
    ['numeric', '1E-7'],
    ['numeric', `${'9'.repeat(131_072)}.${'9'.repeat(16_383)}`],
    ['jsonb', `[1e131071,1e-16383,-1.5E-7,"1e200000",${'9'.repeat(131_072)}]`],
    ['jsonb', `${'['.repeat(1000)}${']'.repeat(1000)}`],
    ['double precision', 1.5e300],
    ['double precision', -0.1],
    ['timestamp with time zone', '0001-01-01T00:00:00Z'],
    ['timestamp with time zone', '9999-12-31T23:59:59.9999999Z'],
    ['timestamp with time zone', '2024-02-29T12:00+02:00'],
    ['date', '1753-01-01'],
    ['date', '9999-12-31'],
    ['jsonb', '{"a":[1,"\\ud83d\\ude42"]}'],
    ['text', 'a\tb\\n\n'],
  ];
  it.each(cases)('%s %.40s', async (type, value) => {
    const [text, notes] = converted(value, type);
    expect(notes).toEqual([]);
    await stored(text!, type);
  });

  it('keep every digit, and no second is rounded up', async () => {
    expect(await stored(converted('-12345678901234567890.1234567890', 'numeric')[0]!, 'numeric')).toBe(
      '-12345678901234567890.1234567890',
    );
    const [last] = converted('9999-12-31T23:59:59.9999999Z', 'timestamp with time zone');
    expect(await stored(last!, 'timestamp with time zone')).toContain('23:59:59.999999');
  });
});

describe('values that PostgreSQL does not have', () => {
  const cases: [PostgresType, string | number][] = [
    ['uuid', 'not a guid'],
    ['smallint', '32768'],
    ['integer', '-2147483649'],
    ['bigint', '9223372036854775808'],
    ['integer', '1.5'],
    ['numeric', '1e9999999'],
    ['numeric', 'NaN or so'],
    ['numeric', '9'.repeat(131_073)],
    ['numeric', `0.${'9'.repeat(16_384)}`],
    ['numeric', `${'9'.repeat(131_000)}e999`],
    ['jsonb', '{"a":[1e200000]}'],
    ['jsonb', '[1e131072]'],
    ['numeric', '1e-16384'],
    ['double precision', '1e400'],
    ['jsonb', `[0.${'1'.repeat(16_384)}]`],
    ['jsonb', `${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}`],
    ['boolean', '2'],
    ['timestamp with time zone', 'infinity'],
    ['timestamp with time zone', '0000-01-01T00:00:00Z'],
    ['timestamp with time zone', '2023-02-29T00:00:00Z'],
    ['timestamp with time zone', '2023-01-01T24:00:00Z'],
    ['timestamp with time zone', '+12345-01-01T00:00:00Z'],
    ['date', '-infinity'],
    ['date', '2023-13-01'],
    ['jsonb', '{"a":'],
  ];
  it.each(cases)('%s %.40s is NULL, and counts', (type, value) => {
    expect(converted(value, type)).toEqual([null, isNull]);
  });

  it('JSON with a long text of escapes is read to its end', () => {
    const json = `["${'\\n'.repeat(9_000_000)}\\"",1e999999]`;
    expect(converted(json, 'jsonb')).toEqual([null, isNull]);
  });

  it('JSON loses the character 0 and halves of pairs, and nothing else', async () => {
    const [text, notes] = converted('{"a":"x\\u0000y\\\\u0000\\ud800\\ude","b":"\\udc00"}', 'jsonb');
    expect([text, notes]).toEqual([null, isNull]);
    const [repaired, said] = converted('{"a":"x\\u0000y\\\\u0000\\ud800","b":"\\udc00"}', 'jsonb');
    expect(said).toEqual(['PostgreSQL cannot store some characters of 1 values of c: they were left out']);
    expect(JSON.parse(await stored(repaired!, 'jsonb'))).toEqual({ a: 'xy\\u0000\ufffd', b: '\ufffd' });
  });
});

test('fields of COPY arrive as they were', async () => {
  const values = ['', '\\N', '\\.', 'a\tb\nc\rd\\e', '🙂', null];
  const { from } = await import('pg-copy-streams');
  const { pipeline } = await import('node:stream/promises');
  const rows = await withClient(address, async (client) => {
    await client.query('CREATE TABLE fields (n integer, v text)');
    const lines = values.map((value, n) => `${n}\t${copyField(value)}\n`);
    await pipeline([Buffer.from(lines.join(''))], client.query(from('COPY fields FROM STDIN')));
    return (await client.query('SELECT v FROM fields ORDER BY n')).rows;
  });
  expect(rows.map(({ v }) => v)).toEqual(values);
});

describe('names', () => {
  it('stay, or are cut to 63 bytes with a digest of the whole', () => {
    expect(storedName('accounts')).toBe('accounts');
    const long = ['a', 'b'].map((end) => storedName(`new_${'ü'.repeat(40)}_${end}`));
    expect(new Set(long).size).toBe(2);
    for (const name of long) expect(Buffer.byteLength(name)).toBeLessThanOrEqual(63);
    expect(long[0]).toBe(storedName(`new_${'ü'.repeat(40)}_a`));
    expect(long[0]).toMatch(/^new_ü+_[0-9a-f]{10}$/);
  });
});

describe('the name of a key', () => {
  it.each(['ctid', `new_${'long'.repeat(16)}id`])(
    'that is stored under another one rejects the table: %s',
    (key) => {
      const table = (logicalName: string, primaryKey: string): Table => ({
        ...{ logicalName, name: `${logicalName}s`, primaryKey, changeTracking: true, intersect: false },
        columns: [
          { name: primaryKey, property: primaryKey, edmType: 'Edm.Guid', reading: 'guid' },
        ] as Table['columns'],
        foreignKeys: [],
      });
      const configs = new Map(['odd', 'even'].map((name) => [name, { name } as TableConfig]));
      const both = [table('odd', key), table('even', 'evenid')];
      const { tables, rejected } = storableTables(both, configs, emptyState(), postgresEngine);
      expect(tables.map(({ logicalName }) => logicalName)).toEqual(['even']);
      expect(rejected.get('odd')?.message).toContain(key);
    },
  );
});

describe('a connection string', () => {
  it('is taken apart', () => {
    expect(postgresAddress('postgresql://me%40x:p%2Fw@db.example.net:6432/crm?sslmode=require')).toEqual({
      ...{ host: 'db.example.net', port: 6432, database: 'crm', user: 'me@x', password: 'p/w' },
    });
  });

  it.each([
    ['no URL', 'secret-text'],
    ['a % that is not an escape', 'postgresql://u:secret-text%w@h/d'],
    ['another protocol', 'mysql://u:secret-text@h/d'],
    ['no database', 'postgresql://u:secret-text@h'],
    ['no user', 'postgresql://h/secret-text'],
    ['a mode without TLS', 'postgresql://u:secret-text@h/d?sslmode=disable'],
    ['a mode that may go without', 'postgresql://u:secret-text@h/d?sslmode=prefer'],
  ])('with %s is refused, and not quoted', (_, text) => {
    expect(() => postgresAddress(text)).toThrow(/^POSTGRES_URL cannot be used/);
    expect(() => postgresAddress(text)).not.toThrow(/secret-text/);
  });
});

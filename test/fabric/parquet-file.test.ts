import { expect, it } from 'vitest';
import { ParquetFile } from '../../src/fabric/parquet-file.ts';
import { ofType } from '../../src/schema/column-types.ts';
import type { Column } from '../../src/schema/table.ts';
import { readParquet } from './read-parquet.ts';

const column = (name: string, edmType: string, type: Column['reading']): Column => ({
  name,
  edmType,
  ...ofType(type),
});

const columns = [
  column('id', 'Edm.Guid', 'guid'),
  column('yes', 'Edm.Boolean', 'boolean'),
  column('small', 'Edm.Int32', 'integer'),
  column('large', 'Edm.Int64', 'integer'),
  column('real', 'Edm.Double', 'real'),
  column('exact', 'Edm.Decimal', 'decimal'),
  column('day', 'Edm.Date', 'text'),
  column('at', 'Edm.DateTimeOffset', 'text'),
  column('text', 'Edm.String', 'text'),
  column('json', 'Collection(Edm.Int32)', 'json'),
  column('bytes', 'Edm.Binary', 'base64'),
];
const id = '00000000-0000-0000-0000-00000000000a';

async function write(rows: Parameters<ParquetFile['add']>[0], hasMarkers = true) {
  const file = await ParquetFile.open(columns, { key: 'id', hasMarkers });
  file.add(rows);
  return { file, read: readParquet(file.finish()) };
}

it('writes values of each type as another reader finds them', async () => {
  const values = [
    ...[id, 1, '-2147483648', '9223372036854775807', 0.1, '-1234567890123456789012345.000000000012'],
    ...['2024-02-29', '1753-01-01T00:00:00.1234567Z', 'Grüße 🌍\0', '[1,2]', new Uint8Array([0, 255])],
  ];
  const { file, read } = await write([{ id, values }]);
  expect(file.unstorable.size).toBe(0);
  expect(read.rows).toEqual([
    {
      id,
      yes: true,
      small: -2147483648,
      large: 9223372036854775807n,
      real: 0.1,
      exact: '-1234567890123456789012345.000000000012',
      day: Date.parse('2024-02-29') / 86_400_000,
      at: BigInt(Date.parse('1753-01-01T00:00:00.123Z')) * 1000n + 456n,
      text: 'Grüße 🌍\0',
      json: '[1,2]',
      bytes: new Uint8Array([0, 255]),
      __rowMarker__: 4,
    },
  ]);
  expect([...read.types]).toEqual([
    ['id', 'Utf8'],
    ['yes', 'Bool'],
    ['small', 'Int32'],
    ['large', 'Int64'],
    ['real', 'Float64'],
    ['exact', 'Decimal[38e+12]'],
    ['day', 'Date32<DAY>'],
    ['at', 'Timestamp<MICROSECOND, UTC>'],
    ['text', 'Utf8'],
    ['json', 'Utf8'],
    ['bytes', 'Binary'],
    ['__rowMarker__', 'Int32'],
  ]);
});

it('writes the texts of PostgreSQL as the values of SQLite', async () => {
  const texts = [
    ...[id, 't', '7', '-7', '1e-07', '0.50', '0001-01-01', '2024-01-02 03:04:05.6+00', 'x', '{"a": 1}'],
    '\\x00ff',
  ];
  const { file, read } = await write([{ id, values: texts }]);
  expect(file.unstorable.size).toBe(0);
  const at = BigInt(Date.parse('2024-01-02T03:04:05.6Z')) * 1000n;
  const { exact, real, bytes, yes } = read.rows[0]!;
  expect([read.rows[0]!['at'], exact, real, bytes, yes]).toEqual([
    at,
    '0.5',
    1e-7,
    new Uint8Array([0, 255]),
    true,
  ]);
});

it('writes NULL for what the type cannot have, and counts it', async () => {
  const values = [
    ...[
      id,
      'maybe',
      '2147483648',
      '1.5',
      'much',
      '0.0000000000001',
      '2023-02-29',
      'yesterday',
      new Uint8Array(1),
    ],
    ...[new Uint8Array(1), 'text'],
  ];
  const { file, read } = await write([
    { id, values },
    { id: 'b', values: ['b', ...Array(10).fill(null)] },
  ]);
  const [first, second] = read.rows;
  const others = columns.map(({ name }) => name).filter((name) => name !== 'id');
  expect(others.map((name) => first![name])).toEqual(others.map(() => null));
  expect(others.map((name) => second![name])).toEqual(others.map(() => null));
  expect([...file.unstorable]).toEqual(others.map((name) => [name, 1]));
});

it('writes the key alone of a row that is gone, and no marker in a file of inserts', async () => {
  const { read } = await write([{ id }]);
  expect(read.rows[0]).toMatchObject({ id, yes: null, text: null, __rowMarker__: 2 });
  const inserts = await write([{ id, values: [id, ...Array(10).fill(null)] }], false);
  expect([...inserts.read.types.keys()]).toEqual(columns.map(({ name }) => name));
});

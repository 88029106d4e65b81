import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { SkipTableError, SyncError } from '../../../src/errors.ts';
import type { Table } from '../../../src/schema/table.ts';
import { Shard } from '../../../src/sqlite/shard.ts';
import { loadSqlite } from '../../../src/sqlite/sqlite.ts';
import { type Parameter, SqliteDatabase } from '../../../src/sqlite/sqlite-database.ts';
import { convert, copyField, type ShardValue } from '../../../src/target/postgres/rows/convert.ts';
import { CopyRows } from '../../../src/target/postgres/rows/copy-rows.ts';
import { isPlainDay, isPlainInstant } from '../../../src/target/postgres/rows/plain-values.ts';
import { Repairs } from '../../../src/target/postgres/rows/repairs.ts';
import type { PostgresType } from '../../../src/target/postgres/schema/column-types.ts';
import { isLong } from '../../long.ts';

const sqlite = await loadSqlite();
const types: PostgresType[] = [
  ...(['text', 'uuid', 'boolean', 'smallint', 'integer', 'bigint', 'numeric', 'double precision'] as const),
  ...(['timestamp with time zone', 'date', 'jsonb', 'bytea'] as const),
];

/** One column of each type, declared as in SQLite's other types, too. */
const columns = types.flatMap((type) =>
  ['TEXT', 'INTEGER', 'REAL', 'BLOB'].map((declared) => ({ name: `${type} as ${declared}`, type, declared })),
);
const model = { logicalName: 'thing', name: 'things', primaryKey: 'id' } as Table;
const loaded = [{ name: 'id', type: 'text' as const }, ...columns.map(({ name, type }) => ({ name, type }))];

/** What each value becomes if SQLite makes it a text and `convert` decides. */
function slowText(db: SqliteDatabase, repairs: Repairs): string {
  const list = loaded.map(({ name, type }, n) => {
    const isAsItIs = type === 'double precision' || type === 'bytea';
    return `${isAsItIs ? `"${name}"` : `CAST("${name}" AS TEXT)`} AS c${n}`;
  });
  const rows = db.all<Record<string, ShardValue>>(
    `SELECT rowid AS r, ${list.join(', ')}, CAST(_version AS TEXT) AS v FROM rows ORDER BY rowid`,
  );
  return rows
    .map((row) => {
      const fields = loaded.map(({ name, type }, n) =>
        copyField(convert(row[`c${n}`] ?? null, type, (repair) => repairs.add(name, repair))),
      );
      return [...fields, copyField(row['v'] as string | null), String(row['r'])].join('\t');
    })
    .map((line) => `${line}\n`)
    .join('');
}

function fastText(bytes: Uint8Array, repairs: Repairs): string {
  const shard = Shard.open(sqlite, bytes);
  try {
    const rows = new CopyRows(shard, 'rows', model, loaded, repairs);
    return Buffer.concat([...rows.chunks()]).toString();
  } finally {
    shard.close();
  }
}

/** A database with these rows, the values of one row in all columns. */
function databaseOf(rows: readonly (readonly Parameter[])[], pageSize = 4096): SqliteDatabase {
  const db = SqliteDatabase.open(sqlite);
  const definitions = columns.map(({ name, declared }) => `"${name}" ${declared}`);
  db.exec(`PRAGMA page_size = ${pageSize}; VACUUM;
    CREATE TABLE rows (id TEXT, ${definitions.join(', ')}, _version TEXT)`);
  const marks = Array(columns.length + 2).fill('?');
  for (const [n, row] of rows.entries()) {
    const values = columns.map((_, place) => row[place % row.length] ?? null);
    db.run(`INSERT INTO rows VALUES (${marks.join(', ')})`, [`id ${n}`, ...values, String(n)]);
  }
  return db;
}

function expectSame(db: SqliteDatabase): void {
  const [slow, fast] = [new Repairs(), new Repairs()];
  const expected = slowText(db, slow);
  const found = fastText(db.export(), fast);
  if (found !== expected) expect(found.split('\n')).toEqual(expected.split('\n'));
  expect(fast.notes().sort()).toEqual(slow.notes().sort());
}

const instants = fc
  .record({
    year: fc.oneof(fc.integer({ min: 0, max: 9999 }), fc.constantFrom(0, 1, 4, 1900, 2000, 2024)),
    month: fc.integer({ min: 0, max: 13 }),
    day: fc.integer({ min: 0, max: 32 }),
    time: fc.constantFrom(
      'T00:00:00',
      'T23:59:59',
      'T24:00:00',
      'T12:60:00',
      'T12:00:60',
      'T1:00:00',
      'T12:30',
      '',
    ),
    fraction: fc.constantFrom('', '.1', '.123456', '.1234567', '.', '.12a'),
    zone: fc.constantFrom('Z', '+01:00', '', 'z'),
  })
  .map(({ year, month, day, time, fraction, zone }) => {
    const [y, m, d] = [
      String(year).padStart(4, '0'),
      String(month).padStart(2, '0'),
      String(day).padStart(2, '0'),
    ];
    return `${y}-${m}-${d}${time === '' ? '' : `${time}${fraction}${zone}`}`;
  });
const numbers = fc.oneof(
  fc.stringMatching(/^[+-]?\d{0,25}\.?\d{0,25}$/),
  fc.stringMatching(/^-?\d{1,5}e[+-]?\d{1,3}$/),
  fc.constantFrom('-', '.', '1.', '.5', '', '0'.repeat(250), `1${'0'.repeat(199)}`),
);
/** A text that is nearly one of the others. */
const mutated = fc
  .tuple(
    fc.oneof(fc.uuid(), instants, numbers),
    fc.nat(40),
    fc.constantFrom('', ' ', 'g', 'A', '/', ':', 'é', '\0'),
  )
  .map(([text, at, added]) => text.slice(0, at) + added + text.slice(at + 1));
const value: fc.Arbitrary<Parameter> = fc.oneof(
  fc.constant(null),
  fc.oneof(fc.uuid(), instants, numbers, mutated),
  fc.string({ unit: 'binary' }),
  fc.string({
    unit: fc.constantFrom('a', '\t', '\n', '\r', '\\', '\0', '\v', '\u001f', '\u007f', 'ä', '🙂'),
  }),
  fc.json(),
  fc.double({ noNaN: true }),
  fc.integer(),
  fc.constantFrom(
    0,
    1,
    2,
    -1,
    127,
    128,
    -128,
    -129,
    32_767,
    32_768,
    -32_769,
    8_388_607,
    8_388_608,
    -8_388_609,
  ),
  fc.constantFrom(
    2 ** 31 - 1,
    2 ** 31,
    -(2 ** 31) - 1,
    2 ** 47 - 1,
    2 ** 47,
    -(2 ** 47),
    2 ** 53 + 2,
    0.1,
    1e300,
    -0,
  ),
  fc.constantFrom('9223372036854775807', '-9223372036854775808', '9223372036854775808', '1e5', '12.0'),
  fc.uint8Array({ maxLength: 40 }),
);

describe('rows as COPY takes them', () => {
  it('are the same as if SQLite and `convert` made every value', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(value, { minLength: 1, maxLength: 13 }), { minLength: 1, maxLength: 8 }),
        (rows) => {
          const db = databaseOf(rows);
          expectSame(db);
          db.close();
        },
      ),
      { numRuns: isLong ? 5000 : 150 },
    );
  });

  it.each([512, 4096, 65_536])('are all read, from pages of %i bytes, whatever their length', (pageSize) => {
    const long = 'long text '.repeat(pageSize / 50);
    const rows = Array.from({ length: 300 }, (_, n) => [n, n % 7 === 0 ? long : `text ${n}`, null, n / 3]);
    const db = databaseOf(rows, pageSize);
    expectSame(db);
    // Free blocks, free pages, and numbers that are missing.
    db.run('DELETE FROM rows WHERE rowid % 3 = 1');
    expectSame(db);
    db.run('DELETE FROM rows');
    expectSame(db);
    db.close();
  });

  it('have NULL in a column that was added later', () => {
    const db = databaseOf([['x']]);
    db.run('ALTER TABLE rows DROP COLUMN _version');
    db.run('ALTER TABLE rows ADD COLUMN _version TEXT');
    expectSame(db);
    db.close();
  });

  it('have characters in the place of bytes that are not UTF-8', () => {
    const db = databaseOf([['x']]);
    db.run(`UPDATE rows SET "text as TEXT" = CAST(x'61ff62e28263' AS TEXT)`);
    expectSame(db);
    db.close();
  });

  it('need a key', () => {
    const db = databaseOf([['x']]);
    db.run('UPDATE rows SET id = NULL');
    expect(() => fastText(db.export(), new Repairs())).toThrow(SkipTableError);
    db.close();
  });
});

test('a damaged file is an error, and is not read for ever', () => {
  const db = databaseOf(
    Array.from({ length: 200 }, (_, n) => [n, `text ${n}`.repeat(20)]),
    512,
  );
  const bytes = db.export();
  db.close();
  fc.assert(
    fc.property(fc.integer({ min: 1024, max: bytes.length - 1 }), fc.nat(255), (at, byte) => {
      const damaged = new Uint8Array(bytes);
      damaged.fill(byte, at, at + 4);
      try {
        fastText(damaged, new Repairs());
      } catch (error) {
        expect(error instanceof SyncError || error instanceof SkipTableError, String(error)).toBe(true);
      }
    }),
    { numRuns: isLong ? 3000 : 40 },
  );
});

test('days and times that count as plain are those that are stored as they are', () => {
  const two = (n: number): string => String(n).padStart(2, '0');
  const plain: string[] = [];
  const check = (text: string, type: PostgresType, isPlain: typeof isPlainDay): void => {
    if (!isPlain(Buffer.from(text), 0, text.length)) return;
    plain.push(text);
    expect(convert(text, type, () => undefined)).toBe(text);
  };
  for (const year of ['0000', '0001', '1900', '2000', '2023', '2024', '9999', '+999']) {
    for (let month = 0; month <= 13; month++) {
      for (let day = 0; day <= 32; day++) check(`${year}-${two(month)}-${two(day)}`, 'date', isPlainDay);
    }
  }
  // of six years, all days but 29 February.
  expect(plain).toHaveLength(6 * 365);
  for (let n = 0; n <= 99; n++) {
    for (const time of [`${two(n)}:00:00`, `00:${two(n)}:00`, `00:00:${two(n)}`]) {
      check(`2024-01-01T${time}Z`, 'timestamp with time zone', isPlainInstant);
    }
  }
  expect(plain).toHaveLength(6 * 365 + 24 + 60 + 60);
});

import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ColumnType, columnTypes, ofType } from '../../src/schema/column-types.ts';
import type { Column } from '../../src/schema/table.ts';
import { pageAfter } from '../../src/sqlite/file-format/page-file.ts';
import { Shard } from '../../src/sqlite/shard.ts';
import { loadSqlite } from '../../src/sqlite/sqlite.ts';
import { rowVersion } from '../../src/sync/fetch/row-version.ts';
import { isLong } from '../long.ts';

/**
 * Shards are written without SQLite. Here Node's own SQLite checks each file, and compares it with one that it wrote
 * itself: the same values, inserted into the same tables as the types of columns say.
 */

const sqlite = await loadSqlite();
const pageSizes = [512, 1024, 4096, 16384, 65536];

interface Value {
  /** As in the page. */
  json: string;
  /** An object or array without white space. */
  minified?: string;
}
type Row = Record<string, Value>;

const columnOf = (type: ColumnType, name: string): Column => ({
  name,
  property: name,
  edmType: '',
  ...ofType(type),
});

/** What a column gets, by the words of `ColumnTypeRules`. */
function bound(type: ColumnType, { json, minified }: Value): SQLInputValue {
  if (minified !== undefined) return minified;
  const rules = columnTypes[type];
  const value = JSON.parse(json) as string | number | boolean | null;
  if (value === null) return null;
  if (typeof value === 'boolean') return rules.booleans === 'json' ? json : BigInt(value);
  if (typeof value === 'number') {
    if (rules.numbers === 'json') return json;
    // An integer in a text keeps its 64 bits.
    return rules.numbers === 'integer' && /^-?\d+$/.test(json) ? json : value;
  }
  const text = value.toWellFormed();
  if (rules.strings === 'json') return json;
  if (rules.strings === 'bytes') return Buffer.from(text, 'base64');
  return rules.strings === 'lowercase' ? text.replace(/[A-Z]/g, (letter) => letter.toLowerCase()) : text;
}

const quoted = (text: string): Value => ({ json: JSON.stringify(text) });
/** Lengths at which a serial type or the payload of a page changes. */
const lengths = [
  57, 58, 126, 127, 380, 477, 478, 3000, 4061, 4062, 8185, 8186, 16349, 65_501, 65_502, 200_000,
];
const textValue = fc.oneof(
  { weight: 6, arbitrary: fc.string({ unit: 'binary', maxLength: 80 }).map(quoted) },
  fc.string({ minLength: 60, maxLength: 90 }).map(quoted),
  fc.constantFrom(...lengths).map((length) => quoted('aÄ'.repeat(length).slice(0, length - 20))),
  fc
    .constantFrom('"\\ud800"', '"x\\udc00y"', '"a\\u0000B"', '"AP8="', '"-_8"', '""')
    .map((json) => ({ json })),
  fc.uuid().map((id) => quoted(id.toUpperCase())),
);
const numberText = fc.oneof(
  fc.bigInt({ min: -(2n ** 65n), max: 2n ** 65n }).map(String),
  fc
    .constantFrom(8, 16, 24, 32, 48, 53, 63)
    .chain((bits) =>
      fc
        .integer({ min: -2, max: 2 })
        .chain((more) =>
          fc.constantFrom(1n, -1n).map((sign) => String(sign * 2n ** BigInt(bits - 1) + BigInt(more))),
        ),
    ),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value)),
  fc.integer().map((value) => `${value}.0`),
  fc.tuple(fc.integer(), fc.integer({ min: -330, max: 320 })).map(([whole, power]) => `${whole}E${power}`),
  fc.constantFrom('0', '1', '-0', '-0.0', '1e18', '1e19', '-9223372036854775809', '12345678901234567890123'),
);
/** A number that only SQLite takes for one, or hardly not. */
const nearNumber = fc
  .tuple(
    fc.constantFrom('', ' ', '\t\n\v\f\r', '\u00a0'),
    fc.constantFrom('', '+', '-', '00', '0x'),
    fc.oneof(numberText, fc.constantFrom('.5', '5.', '.', '', 'inf', 'nan', '1e', '1_000')),
    fc.constantFrom('', ' ', '\0', ' \0x', 'x'),
  )
  .map((parts) => quoted(parts.join('')));
const nestedValue = fc
  .tuple(
    fc.constantFrom('', ' ', '\n '),
    fc.array(
      fc.oneof(
        textValue,
        numberText.map((json) => ({ json })),
      ),
      { maxLength: 3 },
    ),
  )
  .map(([space, items]) => {
    const list = items.map(({ json }) => json);
    return {
      json: `{${space}"a"${space}:${space}[${list.join(`${space},`)}]${space}}`,
      minified: `{"a":[${list.join(',')}]}`,
    };
  });
const value: fc.Arbitrary<Value> = fc.oneof(
  { weight: 4, arbitrary: textValue },
  { weight: 4, arbitrary: numberText.map((json) => ({ json })) },
  nearNumber,
  nestedValue,
  fc.constantFrom('true', 'false', 'null').map((json) => ({ json })),
);

const types = Object.keys(columnTypes) as ColumnType[];
interface Step {
  rows: Row[];
  /** How often the rows come. */
  times: number;
  deleted: string[];
  after: 'damage' | 'read' | 'remove' | undefined;
}
const scenario = fc.uniqueArray(fc.constantFrom(...types), { minLength: 1 }).chain((chosen) => {
  const row = fc.record(Object.fromEntries(chosen.map((type) => [type, value])), { requiredKeys: [] });
  const step: fc.Arbitrary<Step> = fc.record({
    rows: fc.array(row as fc.Arbitrary<Row>, { maxLength: 5 }),
    times: fc.constantFrom(1, 1, 1, 30),
    deleted: fc.array(fc.string({ maxLength: 40 }), { maxLength: 2 }),
    after: fc.constantFrom(undefined, undefined, 'damage' as const, 'read' as const, 'remove' as const),
  });
  return fc.record({
    chosen: fc.constant(chosen),
    pageSize: fc.constantFrom(...pageSizes),
    capacity: fc.constantFrom(undefined, 65_536),
    rawJson: fc.boolean(),
    steps: fc.array(step, { maxLength: 4 }),
  });
});

/** Node's SQLite with these bytes as its file, checked. */
function opened(bytes: Uint8Array): DatabaseSync {
  const db = new DatabaseSync(':memory:');
  db.deserialize(new Uint8Array(bytes));
  expect(db.prepare('PRAGMA integrity_check').all()).toEqual([{ integrity_check: 'ok' }]);
  return db;
}

/** The file in the order in which VACUUM writes it, without the counters of its header. */
function vacuumed(db: DatabaseSync): Buffer {
  db.exec('VACUUM');
  const bytes = Buffer.from(db.serialize());
  for (const [from, to] of [
    [24, 28],
    [40, 44],
    [92, 100],
  ] as const)
    bytes.fill(0, from, to);
  return bytes;
}

describe('the file of a shard', { timeout: 180_000 }, () => {
  it('has what SQLite would have written', () => {
    fc.assert(
      fc.property(scenario, ({ chosen, pageSize, capacity, rawJson, steps }) => {
        const columns = [columnOf('guid', 'id'), ...chosen.map((type) => columnOf(type, type))];
        const shard = Shard.create(sqlite, { pageSize, capacity });
        const writer = shard.recordWriter('rows', {
          ...{ columns, primaryKey: 'id', version: rowVersion, rawJson: rawJson ? 'raw' : undefined },
          keyless: (record) => ({ id: JSON.parse(Buffer.from(record).toString()).gone as string }),
        });
        const expected = new DatabaseSync(':memory:');
        expected.exec(`PRAGMA page_size = ${pageSize}`);
        const texts = rawJson ? ['_version', 'raw'] : ['_version'];
        const definitions = [
          ...columns.map(({ name, type }) => `"${name}" ${type}`),
          ...texts.map((name) => `"${name}" TEXT`),
        ];
        expected.exec(`CREATE TABLE "rows" (${definitions.join(', ')})`);
        expected.exec('CREATE TABLE deleted (id TEXT)');
        const names = definitions.map(() => '?');
        const insert = expected.prepare(
          `INSERT INTO rows (rowid, ${definitions.map((one) => one.split(' ')[0]).join()}) VALUES (?, ${names.join(', ')})`,
        );
        const remove = expected.prepare('DELETE FROM rows WHERE id = ?');
        expected.exec('BEGIN');
        let rowid = 0;
        for (const { rows, times, deleted, after } of steps) {
          const records: string[] = [];
          for (let n = 0; n < times * rows.length; n++) {
            const row = rows[n % rows.length]!;
            rowid += after === 'damage' ? 0 : 1;
            const id = `R${rowid % 7}`;
            const members = Object.entries(row).map(([name, { json }]) => `"${name}":${json}`);
            const record = `{"@odata.etag":"W/\\"${n}\\"","id":"${id}"${members.map((one) => `,${one}`).join('')}}`;
            records.push(record);
            if (after === 'damage') continue;
            const values = chosen.map((type) => (row[type] === undefined ? null : bound(type, row[type])));
            insert.run(rowid, id.toLowerCase(), ...values, String(n), ...(rawJson ? [record] : []));
          }
          for (const id of deleted) records.push(JSON.stringify({ gone: id }));
          const body = Buffer.from(`${records.join()}${after === 'damage' ? ',{"id":1' : ''}`);
          if (after === 'damage') {
            expect(() => writer.write(body, 0, body.length)).toThrow('Malformed JSON');
            continue;
          }
          writer.write(body, 0, body.length);
          for (const id of deleted) expected.prepare('INSERT INTO deleted VALUES (?)').run(id);
          if (after === 'read')
            expect(shard.rowIds('id')).toHaveLength(
              Number(expected.prepare('SELECT count(*) AS n FROM rows').get()!['n']),
            );
          if (after === 'remove') {
            shard.remove(['r1', 'r5'], 'id');
            for (const id of ['r1', 'r5']) remove.run(id);
            expected.exec("DELETE FROM deleted WHERE id IN ('r1', 'r5')");
          }
        }
        expected.exec('COMMIT');
        const actual = opened(shard.export());
        shard.close();
        const all = `rowid, ${columns.map(({ name }) => `"${name}", typeof("${name}")`).join()}, ${texts.join()}`;
        const read = (db: DatabaseSync) => {
          const statement = db.prepare(`SELECT ${all} FROM rows ORDER BY rowid`);
          statement.setReadBigInts(true);
          return statement.all();
        };
        expect(read(actual)).toEqual(read(expected));
        expect(vacuumed(actual).equals(vacuumed(expected))).toBe(true);
        actual.close();
        expected.close();
      }),
      { numRuns: isLong ? 3000 : 60 },
    );
  });

  const ids = columnOf('text', 'id');
  const options = { columns: [ids], primaryKey: 'id', version: rowVersion };
  const page = (...rows: string[]) => Buffer.from(rows.map((id) => JSON.stringify({ id })).join());

  it('has as many levels of pages as its rows need', () => {
    const shard = Shard.create(sqlite, { pageSize: 512 });
    const writer = shard.recordWriter('rows', options);
    const rows = Array.from({ length: 2500 }, (_, n) => `${'x'.repeat(300)}${n}`);
    for (const part of [rows.slice(0, 1), rows.slice(1, 40), rows.slice(40, 1500), rows.slice(1500)]) {
      const body = page(...part);
      writer.write(body, 0, body.length);
      const db = opened(shard.export());
      expect(
        db
          .prepare('SELECT id FROM rows ORDER BY rowid')
          .all()
          .map((row) => row['id']),
      ).toEqual(rows.slice(0, writer.rows));
      expect(db.prepare('SELECT id FROM rows WHERE rowid = ?').get(writer.rows)).toEqual({ id: part.at(-1) });
      db.close();
    }
    shard.close();
  });

  it('has a schema that is larger than a page', () => {
    const shard = Shard.create(sqlite);
    const wide = Array.from({ length: 1500 }, (_, n) => columnOf('text', `a_column_with_a_long_name_${n}`));
    const body = page('1');
    for (const name of ['rows', 'keys'])
      shard.recordWriter(name, { ...options, columns: [ids, ...wide] }).write(body, 0, body.length);
    shard.addDeleted(['2', '3']);
    const db = opened(shard.export());
    expect(db.prepare("SELECT count(*) AS n FROM pragma_table_info('keys')").get()).toEqual({ n: 1502 });
    expect(db.prepare('SELECT (SELECT id FROM rows) AS a, (SELECT max(id) FROM deleted) AS b').get()).toEqual(
      {
        a: '1',
        b: '3',
      },
    );
    db.close();
    shard.close();
  });

  it('does not keep rows that were rejected or given back', () => {
    const shard = Shard.create(sqlite, { pageSize: 512 });
    const writer = shard.recordWriter('rows', options);
    const body = Buffer.concat([
      page(...Array.from({ length: 50 }, () => 'rejected'.repeat(20))),
      Buffer.from(',['),
    ]);
    expect(() => writer.write(body, 0, body.length)).toThrow('Malformed JSON');
    const good = page(...Array.from({ length: 300 }, (_, n) => `${n}`));
    writer.write(good, 0, good.length);
    opened(shard.export()).close();
    const fresh = Shard.create(sqlite, { pageSize: 512 });
    fresh.recordWriter('rows', options).write(good, 0, good.length);
    expect(Buffer.from(shard.export()).equals(fresh.export())).toBe(true);
    shard.close();
    fresh.close();
  });

  it('is read while it is written, and keeps SQLite out of the pages that are written next', () => {
    const shard = Shard.create(sqlite);
    const writer = shard.recordWriter('rows', options);
    for (const id of ['1', '2', '3', '2']) {
      const body = page(id);
      writer.write(body, 0, body.length);
      expect(shard.rowIds('id').at(-1)).toBe(id);
      if (id === '3') shard.remove(['2', '3'], 'id');
    }
    shard.addDeleted(['3']);
    expect([shard.rowIds('id'), shard.deletedIds(), shard.deletedCount]).toEqual([['1', '2'], ['3'], 1]);
    const again = Shard.open(sqlite, new Uint8Array(shard.export()));
    expect([again.rowIds('id'), again.deletedIds(), again.deletedCount]).toEqual([['1', '2'], ['3'], 1]);
    again.close();
    shard.close();
  });

  it('leaves out the page with the byte for locks', () => {
    expect(pageAfter(1, 512)).toBe(2);
    expect([2 ** 14 - 1, 2 ** 14, 2 ** 14 + 2].map((page) => pageAfter(page, 65_536))).toEqual([
      2 ** 14,
      2 ** 14 + 2,
      2 ** 14 + 3,
    ]);
  });
});

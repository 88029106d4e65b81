import { hash } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import { RetriableError } from '../../src/errors.ts';
import { type ColumnType, columnTypes, ofType } from '../../src/schema/column-types.ts';
import type { Column } from '../../src/schema/table.ts';
import type { RecordWriterOptions } from '../../src/sqlite/record-writer.ts';
import { addDigests, emptyDigest } from '../../src/sqlite/row-digest.ts';
import { Shard } from '../../src/sqlite/shard.ts';
import { loadSqlite } from '../../src/sqlite/sqlite.ts';
import { rowVersion } from '../../src/sync/fetch/row-version.ts';
import { openIndependently } from './independent.ts';

const sqlite = await loadSqlite();
const column = (type: ColumnType, name: string = type): Column => ({
  name,
  property: name,
  edmType: '',
  ...ofType(type),
});
const id = column('guid', 'id');

/** The digest of one row by its definition. */
function rowDigest(row: Record<string, unknown>): string {
  return hash('sha256', `${row['id']}|${row['_version']}`, 'hex').slice(0, 32);
}
const all: Column[] = [id, ...(Object.keys(columnTypes) as ColumnType[]).map((type) => column(type))];

describe('RecordWriter', () => {
  let shard: Shard | undefined;
  afterEach(() => shard?.close());

  function write(json: string | Uint8Array, options: Partial<RecordWriterOptions> = {}) {
    shard?.close();
    shard = Shard.create(sqlite);
    const writer = shard.recordWriter('t', {
      columns: all,
      primaryKey: 'id',
      version: rowVersion,
      ...options,
    });
    const around = [Buffer.from('{"value":['), Buffer.from(json), Buffer.from(']}')];
    const body = Buffer.concat(around);
    const result = writer.write(body, 10, body.length - 2);
    return { writer, result, rows: shard.db.all('SELECT * FROM t', [], { bigints: true }), shard };
  }

  /** The value of a column after reading one value, given as JSON text. */
  function read(type: ColumnType, json: string): unknown {
    const { rows } = write(`{"id":"1","${type}":${json}}`);
    return rows[0]![type];
  }

  it.each([
    ['text', '"plain"', 'plain'],
    ['text', '""', ''],
    ['text', 'null', null],
    ['text', '12.50', '12.50'],
    ['text', '123456789012345678901234567890', '123456789012345678901234567890'],
    ['text', 'true', 'true'],
    ['text', '{ "a" : [ 1.0, "b \\" c" ] }', '{"a":[1.0,"b \\" c"]}'],
    ['text', String.raw`"\"\\\/\b\f\n\r\t\u00fc\u20AC"`, '"\\/\b\f\n\r\tü€'],
    ['text', String.raw`"\ud83d\ude00 and 😀"`, '😀 and 😀'],
    ['text', String.raw`"a\ud800b\udc00"`, 'a\ufffdb\ufffd'],
    ['text', String.raw`"a\u0000b"`, 'a\0b'],
    ['guid', '"6F9619FF-8B86-D011-B42D-00C04FC964FF"', '6f9619ff-8b86-d011-b42d-00c04fc964ff'],
    ['guid', String.raw`"\u0041bÄ"`, 'abÄ'],
    ['integer', '0', 0n],
    ['integer', '-0', 0n],
    ['integer', '-2147483649', -2147483649n],
    ['integer', '999999999999999', 999999999999999n],
    ['integer', '9007199254740993', 9007199254740993n],
    ['integer', '9223372036854775807', 9223372036854775807n],
    ['integer', '-9223372036854775808', -9223372036854775808n],
    ['integer', '"9223372036854775807"', 9223372036854775807n],
    ['integer', '"12"', 12n],
    ['integer', '9223372036854775808', 2 ** 63],
    ['integer', '1.0', 1n],
    ['integer', '1e3', 1000n],
    ['integer', '1.5', 1.5],
    ['integer', 'true', 1n],
    ['integer', '"none"', 'none'],
    ['real', '0.1', 0.1],
    ['real', '-0.1', -0.1],
    ['real', '5', 5],
    ['real', '5000000.0000', 5000000],
    ['real', '123456789.12345678', 123456789.12345678],
    ['real', '0.000000000000001', 1e-15],
    ['real', '9007199254740993', 2 ** 53],
    ['real', '1.7976931348623157e308', 1.7976931348623157e308],
    ['real', '5e-324', 5e-324],
    ['real', '2.2250738585072011e-308', 2.225073858507201e-308],
    ['real', '1e999', Number.POSITIVE_INFINITY],
    ['real', '"12.50"', 12.5],
    ['real', '"INF"', 'INF'],
    ['boolean', 'true', 1n],
    ['boolean', 'false', 0n],
    ['boolean', 'null', null],
    ['json', '{ "Value" : true , "n" : 12345678901234567890 }', '{"Value":true,"n":12345678901234567890}'],
    ['json', '[]', '[]'],
    ['json', String.raw`"a\"b"`, String.raw`"a\"b"`],
    ['json', '1.0', '1.0'],
    ['base64', '"AP8="', new Uint8Array([0, 255])],
    ['base64', '"-_8"', new Uint8Array([0xfb, 0xff])],
    ['base64', String.raw`"AP8\u003d"`, new Uint8Array([0, 255])],
    ['base64', '""', new Uint8Array([])],
  ] as [ColumnType, string, unknown][])('reads %s from %s', (type, json, expected) => {
    expect(read(type, json)).toEqual(expected);
  });

  it('keeps a REAL column REAL', () => {
    const { shard } = write('{"id":"1","real":5}');
    expect(shard.db.get('SELECT typeof(real) AS type FROM t')).toEqual({ type: 'real' });
  });

  it('reads an absent property as NULL, skips an unknown one, and prefers the last of two', () => {
    const { rows } = write(
      '{"id":"1","text":"a","unknown":{"id":"x","text":[{}]},"text":"b","integer":1,"integer":null}',
    );
    expect(rows).toEqual([
      {
        ...{ id: '1', text: 'b', guid: null, integer: null, real: null, boolean: null, json: null },
        ...{ decimal: null, base64: null, _version: expect.stringMatching(/^[0-9a-f]{32}$/) },
      },
    ]);
  });

  it('does not keep a value of the previous row', () => {
    const { rows } = write('{"id":"1","text":"a","integer":1},{"id":"2"}');
    expect(rows[1]).toMatchObject({ id: '2', text: null, integer: null });
  });

  it('takes the version from the first version property, otherwise from the content', () => {
    const versions = (json: string, columns = all) =>
      write(json, { columns }).rows.map((row) => row['_version']);
    expect(
      versions(
        String.raw`{"@odata.etag":"W/\"72201545\"","id":"1","versionnumber":3},{"@odata.etag":"odd \"one\"","id":"2"},` +
          String.raw`{"@odata.etag":"W/\"x\"","id":"3"},{"versionnumber":9223372036854775807,"id":"4"},{"versionnumber":"5","id":"5"}`,
      ),
    ).toEqual(['72201545', 'odd "one"', 'W/"x"', '9223372036854775807', '5']);
    const [one, same, other] = versions('{"id":"1"},{"id":"1"},{"id":"2"}');
    expect(one).toBe(same);
    expect(one).not.toBe(other);
    const withEtag = [...all, column('text', '@odata.etag'), column('integer', 'versionnumber')];
    expect(versions(String.raw`{"@odata.etag":"W/\"7\"","id":"1","versionnumber":7}`, withEtag)).toEqual([
      '7',
    ]);
  });

  it('sums the same digest for any order of rows, and the database can reproduce it', () => {
    const row = (n: number) => String.raw`{"@odata.etag":"W/\"${n}\"","id":"A${n}"}`;
    const { writer, rows } = write([1, 2, 3].map(row).join(','));
    const summed = rows.map(rowDigest).reduce(addDigests, emptyDigest());
    expect(writer.digest).toBe(summed);
    expect(write([3, 1, 2].map(row).join()).writer.digest).toBe(summed);
    expect(write([3, 1].map(row).join()).writer.digest).not.toBe(summed);
    expect(write('').writer.digest).toBe(emptyDigest());
    const contents = write('{"id":"1"},{"id":"2","real":0.5}');
    expect(contents.writer.digest).toBe(contents.rows.map(rowDigest).reduce(addDigests));
  });

  it('notes the greatest text of a property', () => {
    const modified = (text: string | null) => JSON.stringify({ id: '1', modifiedon: text });
    const { writer } = write(
      ['2026-01-02T00:00:00Z', '2026-11-21T00:00:00Z', null, '2025'].map(modified).join(),
      {
        maxOf: 'modifiedon',
      },
    );
    expect(writer.max).toBe('2026-11-21T00:00:00Z');
    expect(write('{"id":"1"}', { maxOf: 'modifiedon' }).writer.max).toBeUndefined();
  });

  it('notes the greatest version as a number', () => {
    const row = (tag: string) => JSON.stringify({ id: '1', '@odata.etag': tag });
    const tags = ['W/"9"', 'W/"9007199254740993"', 'W/"00100"', 'W/"9007199254740992"', '"not a number"'];
    expect(write(tags.map(row).join()).writer.maxVersion).toBe('9007199254740993');
    expect(write(row('W/"0070"')).writer.maxVersion).toBe('70');
    expect(write('{"id":"1"}').writer.maxVersion).toBeUndefined();
  });

  it('passes on a record without a key, and never skips one', () => {
    const tombstone = '{ "@odata.context":"x/$deletedEntity", "id2":"7", "reason":"deleted" }';
    const seen: string[] = [];
    const { result, shard, writer } = write(`{"id":"1"}, ${tombstone} ,{"id":"2"}`, {
      keyless: (record) => {
        seen.push(Buffer.from(record).toString());
        return { id: '7' };
      },
    });
    expect(seen).toEqual([tombstone]);
    expect(result).toEqual({ rows: 2, deleted: 1 });
    expect([writer.rows, writer.deleted]).toEqual([2, 1]);
    expect(shard.db.all('SELECT id FROM deleted')).toEqual([{ id: '7' }]);
    expect(() => write('{"id":"1"},{"x":1}')).toThrow('The record at byte 11 has no id');
    expect(() => write('{"id":null}', { keyless: () => undefined })).toThrow('has no id');
  });

  it('keeps the raw record on request', () => {
    const record = String.raw`{ "id" : "ABC", "text":"a\nb", "json": {"a" : 1} }`;
    const { rows } = write(` ${record} , {"id":"2"}`, { rawJson: 'raw' });
    expect(rows.map((row) => row['raw'])).toEqual([record, '{"id":"2"}']);
    expect(rows[0]).toMatchObject({ id: 'abc', text: 'a\nb', json: '{"a":1}' });
  });

  it('writes all of a page or nothing, and continues after a bad one', () => {
    const { writer, shard } = write('{"id":"1"}', { maxOf: 'id' });
    const digest = writer.digest;
    const bad = Buffer.from('{"id":"2"},{"id":"3","text":"cut sh');
    expect(() => writer.write(bad, 0, bad.length)).toThrow(RetriableError);
    expect([writer.rows, writer.digest, writer.max]).toEqual([1, digest, '1']);
    const good = Buffer.from('{"id":"4"}');
    writer.write(good, 0, good.length);
    expect(shard.db.all('SELECT id FROM t')).toEqual([{ id: '1' }, { id: '4' }]);
  });

  it.each([
    ['{"id":"1"} {"id":"2"}', 11],
    ['{"id":"1"},', 11],
    ['{"id":01}', 7],
    ['{"id":"1","text":"a\\x"}', 19],
    ['{"id":"1","text":"a\nb"}', 19],
    ['{"id":"1","json":[1,]}', 17],
    ['{"id":nul}', 6],
    ['[]', 0],
    ['{"id":-}', 7],
    ['{"id":1.}', 8],
    ["{'id':1}", 1],
  ])('rejects %j with the position %i', (json, position) => {
    expect(() => write(json)).toThrow(new RegExp(`Malformed JSON at (its end, )?byte ${position}:`));
  });

  it('never shows data in an error', () => {
    expect(() => write('{"id":"1","json":{"secret":nul}}')).toThrow(/^(?!.*secret).*$/);
  });

  it('replaces bytes that are not UTF-8', () => {
    const json = Buffer.concat([Buffer.from('{"id":"1","text":"a'), Buffer.from([0xff]), Buffer.from('b"}')]);
    expect(write(json).rows[0]).toMatchObject({ text: 'a\ufffdb' });
  });

  it('writes a file that another SQLite reads', () => {
    const many = Array.from(
      { length: 3000 },
      (_, n) => `{"id":"${n}","text":"${'ä'.repeat(n % 300)}","real":${n / 7}}`,
    );
    const { shard } = write(many.join());
    const independent = openIndependently(shard.export());
    expect(independent.prepare('SELECT count(*) AS n, sum(length(text)) AS length FROM t').get()).toEqual({
      n: 3000,
      length: 10 * (299 * 150),
    });
    independent.close();
  });

  it('rejects two columns of one property', () => {
    expect(() => write('', { columns: [id, { ...id, name: 'twin' }] })).toThrow('Two columns of t');
  });
});

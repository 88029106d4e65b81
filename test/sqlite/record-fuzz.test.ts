import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RetriableError } from '../../src/errors.ts';
import { ofType } from '../../src/schema/column-types.ts';
import type { Column } from '../../src/schema/table.ts';
import { Shard } from '../../src/sqlite/shard.ts';
import { loadSqlite } from '../../src/sqlite/sqlite.ts';
import { rowVersion } from '../../src/sync/fetch/row-version.ts';
import { isLong } from '../long.ts';

/**
 * The scanner and JSON.parse read the same random pages. A page has a few keys and difficult values in random order,
 * with random white space and escapes.
 */

const sqlite = await loadSqlite();
const runs = isLong ? 5000 : 150;

const columns: Column[] = (
  [
    ['id', 'text'],
    ['a', 'text'],
    ['_a_value', 'guid'],
    ['n', 'integer'],
    ['r', 'real'],
    ['flag', 'boolean'],
    ['j', 'json'],
  ] as const
).map(([name, type]) => ({ name, property: name, edmType: '', ...ofType(type) }));
const names = [...columns.map((column) => column.name), 'unknown', '_a_value@x', '', 'ä', 'a"b', '__proto__'];

const space = fc.oneof(
  { weight: 6, arbitrary: fc.constant('') },
  fc.constantFrom(' ', '\n', '\r\n\t', '   '),
);

/** The JSON text of a string. Each character is escaped or not, at random. */
const stringText = fc
  .tuple(fc.string({ unit: 'binary', maxLength: 10 }), fc.infiniteStream(fc.nat(3)))
  .map(([text, choices]) => {
    const next = choices[Symbol.iterator]();
    const parts = text.split('').map((unit) => {
      const plain = JSON.stringify(unit).slice(1, -1);
      return next.next().value === 0 ? `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}` : plain;
    });
    // Half of a surrogate pair must not stand unescaped: UTF-8 cannot encode it.
    return `"${parts.join('')}"`.toWellFormed();
  });
const loneSurrogate = fc.constantFrom('"\\ud800"', '"x\\udc00y"', '"\\udbff\\ud800\\udc00"');
const integerText = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String);
const numberText = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value)),
  fc.integer().map(String),
  fc
    .tuple(fc.integer(), fc.nat(999_999_999), fc.nat(9))
    .map(([whole, part, zeros]) => `${whole}.${'0'.repeat(zeros)}${part}`),
  fc.tuple(fc.integer(), fc.integer({ min: -330, max: 320 })).map(([whole, power]) => `${whole}E${power}`),
  fc.constantFrom('-0', '0.0', '-0.0', '1e5', '0.1', '1e-7', '123456789012345678901234567890'),
);
const literal = fc.constantFrom('null', 'true', 'false');
const scalar = fc.oneof(stringText, loneSurrogate, integerText, numberText, literal);

const objectText = (values: fc.Arbitrary<string>, keys: fc.Arbitrary<string>) =>
  fc
    .array(fc.tuple(space, keys, space, space, values, space), { maxLength: 9 })
    .chain((members) => space.map((inside) => ({ members, inside })))
    .map(({ members, inside }) =>
      members.length === 0
        ? `{${inside}}`
        : `{${members.map(([a, key, b, c, value, d]) => `${a}${key}${b}:${c}${value}${d}`).join(',')}}`,
    );
const { nested } = fc.letrec<{ nested: string }>((tie) => ({
  nested: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    scalar,
    objectText(tie('nested'), stringText),
    fc
      .array(fc.tuple(space, tie('nested')), { maxLength: 3 })
      .map((items) => `[${items.map((item) => item.join('')).join(',')}]`),
  ),
}));
const keyText = fc.constantFrom(...names).chain((name) =>
  fc.oneof(
    { weight: 5, arbitrary: fc.constant(JSON.stringify(name)) },
    fc.constant(
      `"${name
        .split('')
        .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
        .join('')}"`,
    ),
  ),
);
const record = fc.tuple(objectText(nested, keyText), stringText, fc.boolean()).map(([text, id, last]) => {
  const inside = text.slice(1, -1);
  if (inside.trim() === '') return `{"id":${id}}`;
  return last ? `{${inside},"id":${id}}` : `{"id":${id},${inside}}`;
});
const page = fc
  .array(fc.tuple(space, record, space), { maxLength: 6 })
  .map((records) => records.map((parts) => parts.join('')).join(','));

/** A share of a text. `fc.double` is biased: almost all places would be at the beginning. */
const place = fc.noBias(fc.nat(9_999)).map((part) => part / 10_000);

/** A number, as the text spells it. */
class NumberText {
  readonly source: string;
  constructor(source: string) {
    this.source = source;
  }
}

function parsed(json: string): unknown {
  const keepNumber = (_: string, value: unknown, context: { source?: string }) =>
    typeof value === 'number' ? new NumberText(context.source!) : value;
  return (JSON.parse as (text: string, reviver: unknown) => unknown)(json, keepNumber);
}

/** The expected value of the column; undefined for the cases that record-writer.test.ts covers by examples. */
function expected(column: Column, value: unknown): unknown {
  if (value === undefined || value === null) return null;
  if (column.reading === 'json') return { json: value };
  if (typeof value === 'object' && !(value instanceof NumberText)) return { json: value };
  const isNumber = value instanceof NumberText;
  if (column.reading === 'text' || column.reading === 'guid') {
    const text = isNumber ? value.source : String(value).toWellFormed();
    return column.reading === 'guid' && typeof value === 'string'
      ? text.replace(/[A-Z]/g, (letter) => letter.toLowerCase())
      : text;
  }
  if (typeof value === 'boolean') return column.type === 'REAL' ? Number(value) : BigInt(value);
  if (!isNumber) return undefined;
  // SQLite has no negative zero.
  if (column.reading === 'real') return Number(value.source) + 0;
  return /^-?\d{1,18}$/.test(value.source) ? BigInt(value.source) : undefined;
}

/** One writer for all pages, as in a slice: the keys of one page must not mislead it in the next. */
function pageReader() {
  const shard = Shard.create(sqlite);
  const writer = shard.recordWriter('t', { columns, primaryKey: 'id', version: rowVersion });
  return (json: string | Buffer) => {
    const before = writer.rows;
    const body = Buffer.concat([Buffer.from('[['), Buffer.from(json as string), Buffer.from(']]')]);
    let error: unknown;
    try {
      writer.write(body, 2, body.length - 2);
    } catch (thrown) {
      error = thrown;
    }
    const sql = 'SELECT * FROM t WHERE rowid > ? ORDER BY rowid';
    const rows = shard.db.all(sql, [before], { bigints: true });
    if (error !== undefined) expect(rows).toEqual([]);
    return { rows, error };
  };
}

/** Whether the page is JSON and consists of objects with a key. */
function isValid(json: string): boolean {
  try {
    const records = JSON.parse(`[${json}]`) as unknown[];
    return records.every(
      (one) =>
        one !== null &&
        typeof one === 'object' &&
        !Array.isArray(one) &&
        ((one as { id?: unknown }).id ?? null) !== null,
    );
  } catch {
    return false;
  }
}

describe('the record scanner', { timeout: 180_000 }, () => {
  const read = pageReader();

  it(`reads ${runs} random pages as JSON.parse does`, () => {
    fc.assert(
      fc.property(page, (json) => {
        const { rows, error } = read(json);
        if (!isValid(json)) {
          expect(error).toBeInstanceOf(RetriableError);
          return;
        }
        if (error !== undefined) throw error;
        const records = parsed(`[${json}]`) as Record<string, unknown>[];
        expect(rows.length).toBe(records.length);
        records.forEach((record, index) => {
          for (const column of columns) {
            const value = Object.hasOwn(record, column.name) ? record[column.name] : undefined;
            const want = expected(column, value);
            const got = rows[index]![column.name];
            if (want === undefined) continue;
            if (want !== null && typeof want === 'object') {
              const json = JSON.stringify((want as { json: unknown }).json);
              if (JSON.stringify(parsed(got as string)) !== json) expect(got).toBe(json);
            } else if (got !== want) {
              expect(got).toBe(want);
            }
          }
        });
      }),
      { numRuns: runs },
    );
  });

  it(`rejects what JSON.parse rejects, and accepts what it accepts, in ${runs} damaged pages`, () => {
    const damage = fc.record({
      at: place,
      remove: fc.nat(2),
      insert: fc.constantFrom(
        '',
        '',
        ',',
        '"',
        '}',
        '{',
        '[',
        ']',
        ':',
        '\\',
        '0',
        '-',
        '.',
        'e',
        'n',
        '\n',
        '\u0001',
        '\u00a0',
      ),
    });
    fc.assert(
      fc.property(page, fc.array(damage, { minLength: 1, maxLength: 2 }), (json, damages) => {
        let text = json;
        for (const { at, remove, insert } of damages) {
          const from = Math.floor(at * text.length);
          text = (text.slice(0, from) + insert + text.slice(from + remove)).toWellFormed();
        }
        const { error } = read(text);
        if (isValid(text)) expect(error).toBeUndefined();
        else expect(error).toBeInstanceOf(RetriableError);
      }),
      { numRuns: runs },
    );
  });

  it('accepts any bytes as text of Unicode, or rejects them', () => {
    fc.assert(
      fc.property(page, fc.uint8Array({ maxLength: 4 }), place, (json, bytes, at) => {
        const damaged = Buffer.from(json);
        damaged.set(
          bytes.subarray(0, damaged.length),
          Math.floor(at * Math.max(0, damaged.length - bytes.length)),
        );
        const { rows, error } = read(damaged);
        if (error !== undefined) expect(error).toBeInstanceOf(RetriableError);
        for (const row of rows) {
          for (const value of Object.values(row))
            if (typeof value === 'string') expect(value.isWellFormed()).toBe(true);
        }
      }),
      { numRuns: runs },
    );
  });
});

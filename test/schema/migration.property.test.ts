import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type ColumnType, columnTypes } from '../../src/schema/column-types.ts';
import { migrationSql } from '../../src/schema/migration.ts';
import { createTableSql, indexSql } from '../../src/schema/sql.ts';
import type { Table } from '../../src/schema/table.ts';
import { column, expectStored, open, plain, query, table } from './tables.ts';

const types = Object.keys(columnTypes) as ColumnType[];
const names = ['a', 'b', 'action', 'order', 'we"ird', "o'clock", '_x_value', '_y_value'];
const neighbour = table('contact', []);

/** A table with one of two names, some of the columns, and any types. */
const tables: fc.Arbitrary<Table> = fc
  .record({
    name: fc.constantFrom('accounts', 'accts'),
    columns: fc.uniqueArray(fc.record({ name: fc.constantFrom(...names), type: fc.constantFrom(...types) }), {
      selector: ({ name }) => name,
    }),
    foreignKeys: fc.boolean(),
  })
  .map(({ name, columns, foreignKeys }) =>
    table(
      'account',
      columns.map((c) => column(c.name, c.type, `Edm.${c.type}`)),
      {
        name,
        foreignKeys: columns
          .filter((c) => foreignKeys && c.name.endsWith('_value'))
          .map((c) => ({ column: c.name, targets: ['contact'], source: 'metadata' as const })),
      },
    ),
  );

const values = fc.oneof(
  fc.constant(null),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.string({ unit: 'grapheme' }),
);

it('keeps every row, and every value that needs no conversion, through any chain of schemas', () => {
  fc.assert(
    fc.property(
      fc.array(tables, { minLength: 2, maxLength: 5 }),
      fc.array(fc.array(values), { maxLength: 4 }),
      (chain, rows) => {
        let current = chain[0]!;
        const database = open(
          createTableSql(neighbour),
          createTableSql(current, { synced: [current, neighbour] }),
        );
        for (const statement of indexSql(current, { synced: [current, neighbour] })) database.exec(statement);
        rows.forEach((row, i) => {
          const list = current.columns.slice(1).map(({ name }) => `"${name.replaceAll('"', '""')}"`);
          database
            .prepare(
              `INSERT INTO "${current.name}" (${['"accountid"', ...list]}) VALUES (${['?', ...list.map(() => '?')]})`,
            )
            .run(`id ${i}`, ...list.map((_, j) => row[j] ?? null));
        });
        const read = (name: string): Record<string, unknown>[] => {
          const statement = database.prepare(`SELECT * FROM "${name}" ORDER BY accountid`);
          statement.setReadBigInts(true);
          return plain(statement.all()) as Record<string, unknown>[];
        };

        for (const to of chain.slice(1)) {
          const before = read(current.name);
          const options = { synced: [to, neighbour], syncedBefore: [current, neighbour] };
          const { statements, changes, table: after } = migrationSql(current, to, options);
          database.exec('BEGIN');
          for (const statement of statements) database.exec(statement);
          database.exec('COMMIT');

          const now = read(to.name);
          const untouched = [...current.columns, ...(current.staleColumns ?? [])].filter((c) => {
            const target = [...after.columns, ...(after.staleColumns ?? [])].find(
              ({ name }) => name === c.name,
            );
            return target?.type === c.type;
          });
          for (const { name } of untouched) {
            expect(now.map((row) => row[name])).toEqual(before.map((row) => row[name]));
          }
          expect(now.map((row) => row['accountid'])).toEqual(before.map((row) => row['accountid']));
          // No value is lost: a value may be converted, but it does not become NULL.
          for (const { name } of current.columns) {
            expect(now.map((row) => row[name] === null)).toEqual(before.map((row) => row[name] === null));
          }
          // The model describes the database, and a second migration finds nothing to do.
          expectStored(query(database), after, options.synced);
          expect(migrationSql(after, to, { ...options, syncedBefore: options.synced })).toMatchObject({
            statements: [],
            changes: [],
          });
          const retyped = changes.filter(({ change }) => change === 'retyped');
          expect(retyped.every(({ needsReread }) => needsReread)).toBe(true);
          current = after;
        }
        expect(database.prepare('PRAGMA integrity_check').get()).toMatchObject({ integrity_check: 'ok' });
        database.close();
      },
    ),
    { numRuns: 300 },
  );
});

import { quoteIdentifier as quote } from '../../../schema/sql.ts';
import type { Table } from '../../../schema/table.ts';
import type { SqliteDatabase } from '../../../sqlite/sqlite-database.ts';
import { type CheckedKey, checkedKeys, maxExamples } from '../../common/checked-keys.ts';
import { andLive, hasMarks } from '../../common/mirror-table.ts';
import type { ReferenceCounts, ReferencePlace } from '../../mirror-check.ts';
import { configuredTables, type State } from '../../state.ts';
import { absentSql, absentTargetSql, danglingSql } from './dangling-references.ts';

/** What is counted in one go: a foreign key by its index, or several by the rows of their table. */
type Unit = { name: string; table: Table } & ({ key: CheckedKey } | { keys: CheckedKey[] });

/** Entries of an index take so much less room than rows. */
const entriesPerRow = 10;

interface Batch {
  /** Where the next batch begins; undefined if this was the last one. */
  after: ReferencePlace | undefined;
  /** Live rows; 0 for a batch of an index. */
  rows: number;
  counts: { key: CheckedKey; count: number }[];
  /** The condition for the rows of this batch. */
  condition: string;
  parameters: (string | number)[];
}

/** The counts before the first batch. */
export const noReferences: ReferenceCounts = {
  done: [],
  dangling: {},
  keys: {},
  miscounted: [],
  uncounted: [],
};

/**
 * Counts references whose target is absent, one batch further. Each batch reads its part of an index or of a table, in
 * order, so a table of any size can be counted by many short calls, also while it changes.
 * @param etag of the state of the database
 * @param size how many rows a batch looks at, or ten times as many entries of an index. Their targets are looked up in
 * the order of their own index
 * @returns the counts with this batch, how many foreign keys and tables there are to count, and whether all of them are
 */
export function countBatch(
  db: SqliteDatabase,
  state: State,
  etag: string,
  before: ReferenceCounts,
  size: number,
): { counts: ReferenceCounts; total: number; isComplete: boolean } {
  const tables = configuredTables(state);
  const units = tables.flatMap((table) => unitsOf(table, tables));
  const known = new Set(before.done);
  const unit =
    units.find(({ name }) => name === before.current?.name) ?? units.find(({ name }) => !known.has(name));
  const total = units.length;
  if (unit === undefined) return { counts: withoutDropped(before, tables), total, isComplete: true };
  const isBegun = before.current?.name === unit.name;
  const { after, rows, etag: begunAt } = isBegun ? before.current! : { after: undefined, rows: 0, etag };
  const batch = 'key' in unit ? byIndex(db, unit, size, after) : byRows(db, unit, size, after);
  const { current: _, ...counts } = structuredClone(before);
  for (const { key, count } of batch.counts) addCount(db, unit.table, key, count, batch, counts, isBegun);
  const counted = rows + batch.rows;
  if (batch.after !== undefined) {
    const current = { name: unit.name, after: batch.after, rows: counted, etag: begunAt };
    return { counts: { ...counts, current }, total, isComplete: false };
  }
  counts.done.push(unit.name);
  if ('keys' in unit) compareRows(unit.table, state, counted, begunAt === etag, counts);
  return { counts, total, isComplete: false };
}

/** Tables and columns may be gone since they were counted. */
function withoutDropped(
  { current: _, ...counts }: ReferenceCounts,
  tables: readonly Table[],
): ReferenceCounts {
  const present = new Set(tables.flatMap((table) => checkedKeys(table, tables).map(({ name }) => name)));
  const only = <T>(values: Record<string, T>): Record<string, T> =>
    Object.fromEntries(Object.entries(values).filter(([name]) => present.has(name)));
  return { ...counts, dangling: only(counts.dangling), keys: only(counts.keys) };
}

function unitsOf(table: Table, tables: readonly Table[]): Unit[] {
  const keys = checkedKeys(table, tables);
  const [byColumn, byRow] = [
    keys.filter((key) => !needsRows(table, key)),
    keys.filter((key) => needsRows(table, key)),
  ];
  const units: Unit[] = byColumn.map((key) => ({ name: key.name, table, key }));
  // The rows of such a table are counted, also if it has no foreign keys.
  if (byRow.length > 0 || hasMarks(table)) units.push({ name: table.name, table, keys: byRow });
  return units;
}

/** An index of the column has neither the type of the target nor the mark. */
function needsRows(table: Table, key: CheckedKey): boolean {
  return key.typeColumn !== undefined || hasMarks(table);
}

function byIndex(
  db: SqliteDatabase,
  { table, key }: { table: Table; key: CheckedKey },
  size: number,
  after: ReferencePlace = '',
): Batch {
  const column = quote(key.column);
  // Many rows can refer to one target: a batch can end among them, and the next one counts what is left of them.
  const isWithin = typeof after === 'object';
  const condition = isWithin ? `t.${column} = ? AND t.rowid > ?` : `t.${column} > ?`;
  const parameters = isWithin ? [after.id, after.row] : [after];
  const limit = size * entriesPerRow;
  // A column beside max() is that of the row with the maximum (sqlite.org: Bare columns in an aggregate query).
  const { last, row, entries, count } = db.get<{
    last: string | null;
    row: number | null;
    entries: number;
    count: number;
  }>(
    `SELECT max(r.id) AS last, r.row AS row, coalesce(sum(r.n), 0) AS entries,
       coalesce(sum(r.n * (${absentSql(key.targets, 'r.id')})), 0) AS count
     FROM (SELECT id, count(*) AS n, max(row) AS row
       FROM (SELECT t.${column} AS id, t.rowid AS row FROM main.${quote(table.name)} AS t WHERE ${condition}
         ORDER BY t.${column}, t.rowid LIMIT ${limit}) GROUP BY id) AS r`,
    parameters,
  )!;
  const isFull = entries === limit && last !== null && row !== null;
  const next = isFull ? { id: last, row } : isWithin ? after.id : undefined;
  return {
    after: next,
    rows: 0,
    counts: [{ key, count }],
    condition: `${condition} AND t.${column} <= ?`,
    parameters: [...parameters, last ?? ''],
  };
}

function byRows(
  db: SqliteDatabase,
  { table, keys }: { table: Table; keys: CheckedKey[] },
  size: number,
  after: ReferencePlace = -1,
): Batch {
  const name = `main.${quote(table.name)}`;
  // Places of this kind are numbers of rows.
  const first = Number(after);
  const { last, found } = db.get<{ last: number | null; found: number }>(
    `SELECT max(id) AS last, count(*) AS found
     FROM (SELECT rowid AS id FROM ${name} NOT INDEXED WHERE rowid > ? ORDER BY rowid LIMIT ${size})`,
    [first],
  )!;
  const parameters = [first, last ?? first];
  const part = `FROM ${name} AS t NOT INDEXED WHERE t.rowid > ? AND t.rowid <= ?${andLive(table, 't')}`;
  const { rows } = db.get<{ rows: number }>(`SELECT count(*) AS rows ${part}`, parameters)!;
  const counts = keys.map((key) => {
    const columns = [key.column, ...(key.typeColumn === undefined ? [] : [key.typeColumn])];
    const names = columns.map((column) => `t.${quote(column)}`).join(', ');
    // Grouped, so that targets are looked up once, and in the order of their index.
    const { count } = db.get<{ count: number }>(
      `SELECT coalesce(sum(t.n * (${absentTargetSql(key)})), 0) AS count
       FROM (SELECT ${names}, count(*) AS n ${part} AND t.${quote(key.column)} IS NOT NULL GROUP BY ${names}) AS t`,
      parameters,
    )!;
    return { key, count };
  });
  const next = found < size || last === null ? undefined : last;
  return { after: next, rows, counts, condition: 't.rowid > ? AND t.rowid <= ?', parameters };
}

function addCount(
  db: SqliteDatabase,
  table: Table,
  key: CheckedKey,
  count: number,
  { condition, parameters }: Batch,
  counts: ReferenceCounts,
  isBegun: boolean,
): void {
  const { name, column, targets } = key;
  counts.dangling[name] = (isBegun ? (counts.dangling[name] ?? 0) : 0) + count;
  if (count === 0) return;
  const known = counts.keys[name] ?? {
    table: table.name,
    column,
    targets: targets.map((target) => target.name),
    count: 0,
    examples: [],
  };
  const wanted = maxExamples - known.examples.length;
  const more =
    wanted <= 0
      ? []
      : db.all<{ row: string; target: string }>(
          `SELECT t.${quote(table.primaryKey)} AS row, t.${quote(column)} AS target FROM main.${quote(table.name)} AS t
     WHERE ${condition} AND ${danglingSql(table, key)} LIMIT ${wanted}`,
          parameters,
        );
  // A batch that ends among the rows of one target shows the rows of the next batch, too.
  const shown = new Set(known.examples.map((example) => example.row));
  const examples = [...known.examples, ...more.filter((example) => !shown.has(example.row))];
  counts.keys[name] = { ...known, count: known.count + count, examples };
}

/** Compares the rows that are not marked as deleted with the count that merges keep of them. */
function compareRows(
  table: Table,
  state: State,
  counted: number,
  isOneState: boolean,
  counts: ReferenceCounts,
): void {
  const kept = state.entities[table.logicalName]?.rows;
  if (!hasMarks(table) || kept === undefined || kept === counted) return;
  if (isOneState) counts.miscounted.push({ table: table.logicalName, kept, counted });
  else counts.uncounted.push(table.logicalName);
}

import { quoteIdentifier as quote, quoteText } from '../../../schema/sql.ts';
import type { Table } from '../../../schema/table.ts';
import type { SqliteDatabase } from '../../../sqlite/sqlite-database.ts';
import { type CheckedKey, checkedKeys, maxExamples } from '../../common/checked-keys.ts';
import { andLive, hasMarks } from '../../common/mirror-table.ts';
import type { DanglingKey } from '../../mirror-check.ts';

/** Counts by foreign key: `accounts._ownerid_value>systemusers,teams`. */
export type DanglingCounts = Readonly<Record<string, number>>;

export interface CountOptions {
  /** Earlier counts, which are still valid for keys between tables that are not in `changed`. */
  before?: DanglingCounts;
  /** Logical names. @default all tables */
  changed?: ReadonlySet<string> | undefined;
  /** Whether an earlier count of the references of this table stays although it may have changed. */
  isKept?: (table: Table) => boolean;
}

/**
 * Counts the references to absent rows, by foreign key: only to mirrored tables, and a polymorphic reference only to its
 * recorded target. Rows and targets that are marked as deleted do not count.
 */
export function countDangling(
  db: SqliteDatabase,
  tables: readonly Table[],
  { before = {}, changed, isKept = () => false }: CountOptions = {},
): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const table of tables) {
    const typed: CheckedKey[] = [];
    for (const key of checkedKeys(table, tables)) {
      const known = before[key.name];
      const touched =
        changed === undefined ||
        changed.has(table.logicalName) ||
        key.targets.some(({ logicalName }) => changed.has(logicalName));
      if (known !== undefined && (!touched || isKept(table))) counts[key.name] = known;
      else if (key.typeColumn === undefined && !hasMarks(table))
        counts[key.name] = countByIndex(db, table, key);
      else typed.push(key);
    }
    Object.assign(counts, countByScan(db, table, typed));
  }
  return counts;
}

/** The foreign keys with dangling references, each with examples. */
export function findDangling(db: SqliteDatabase, tables: readonly Table[]): DanglingKey[] {
  const counts = countDangling(db, tables);
  return tables.flatMap((table) =>
    checkedKeys(table, tables)
      .filter((key) => counts[key.name]! > 0)
      .map(
        (key): DanglingKey => ({
          table: table.name,
          column: key.column,
          targets: key.targets.map(({ name }) => name),
          count: counts[key.name]!,
          examples: db.all<{ row: string; target: string }>(
            `SELECT t.${quote(table.primaryKey)} AS row, t.${quote(key.column)} AS target
             FROM main.${quote(table.name)} AS t WHERE ${danglingSql(table, key)} ORDER BY 1 LIMIT ${maxExamples}`,
          ),
        }),
      ),
  );
}

export function totalDangling(counts: DanglingCounts): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

/** Reads the distinct ids from the index of the column, which is less than the table. */
function countByIndex(db: SqliteDatabase, table: Table, key: CheckedKey): number {
  const column = quote(key.column);
  return db.get<{ n: number }>(
    `SELECT coalesce(sum(r.n), 0) AS n FROM (SELECT ${column} AS id, count(*) AS n FROM main.${quote(table.name)}
     WHERE ${column} IS NOT NULL GROUP BY ${column}) AS r WHERE ${absentSql(key.targets, 'r.id')}`,
  )!.n;
}

/** The row has the target table of each id, so one scan of the table counts all such keys. */
function countByScan(db: SqliteDatabase, table: Table, keys: readonly CheckedKey[]): Record<string, number> {
  if (keys.length === 0) return {};
  const sums = keys.map(
    (key, index) => `coalesce(sum(${danglingSql(table, key)}), 0) AS ${quote(String(index))}`,
  );
  const row = db.get<Record<string, number>>(
    `SELECT ${sums.join(', ')} FROM main.${quote(table.name)} AS t`,
  )!;
  return Object.fromEntries(keys.map((key, index) => [key.name, row[String(index)]!]));
}

/** The condition that the row `t` refers to an absent row. */
export function danglingSql(table: Table, key: CheckedKey): string {
  return `(t.${quote(key.column)} IS NOT NULL${andLive(table, 't')} AND ${absentTargetSql(key)})`;
}

/** The condition that the target of the row `t`, which has one, is absent. Uses the key's own columns alone. */
export function absentTargetSql({ column, typeColumn, targets, whole }: CheckedKey): string {
  const id = `t.${quote(column)}`;
  if (typeColumn === undefined) return absentSql(targets, id);
  const type = `t.${quote(typeColumn)}`;
  const cases = targets.map(
    (target) => `WHEN ${type} = ${quoteText(target.logicalName)} THEN ${absentSql([target], id)}`,
  );
  if (whole) cases.push(`WHEN ${type} IS NULL THEN ${absentSql(targets, id)}`);
  return `CASE ${cases.join(' ')} ELSE 0 END`;
}

/** The condition that no target has this id. */
export function absentSql(targets: readonly Table[], id: string): string {
  return targets
    .map(
      (target) =>
        `NOT EXISTS (SELECT 1 FROM main.${quote(target.name)} AS x WHERE x.${quote(target.primaryKey)} = ${id}${andLive(target, 'x')})`,
    )
    .join(' AND ');
}

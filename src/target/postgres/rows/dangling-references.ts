import { quoteIdentifier as quote, quoteText } from '../../../schema/sql.ts';
import type { Table } from '../../../schema/table.ts';
import { type CheckedKey, checkedKeys, maxExamples } from '../../common/checked-keys.ts';
import { andLive } from '../../common/mirror-table.ts';
import type { DanglingKey } from '../../mirror-check.ts';
import type { Session } from '../connection/session.ts';

/** Counts by foreign key: `accounts._ownerid_value>systemusers,teams`. */
export type DanglingCounts = Record<string, number>;

/**
 * Counts the references to absent rows, by foreign key: only to mirrored tables, and a polymorphic reference only to its
 * recorded target. Rows and targets that are marked as deleted do not count.
 * @param options `before`: earlier counts, which are still valid for keys between tables that are not in `changed`, which are
 * logical names, or all tables; `isKept`: whether such a count of a table's references stays although it may have changed
 */
export async function countDangling(
  session: Session,
  tables: readonly Table[],
  {
    before,
    changed,
    isKept,
  }: {
    before: Readonly<DanglingCounts>;
    changed: ReadonlySet<string> | undefined;
    isKept: (table: Table) => boolean;
  },
): Promise<DanglingCounts> {
  const counts: DanglingCounts = {};
  for (const table of tables) {
    for (const key of checkedKeys(table, tables)) {
      const known = before[key.name];
      const isTouched =
        changed === undefined || [table, ...key.targets].some(({ logicalName }) => changed.has(logicalName));
      counts[key.name] =
        known !== undefined && (!isTouched || (changed !== undefined && isKept(table)))
          ? known
          : await countOf(session, table, key);
    }
  }
  return counts;
}

function countOf(session: Session, table: Table, key: CheckedKey): Promise<number> {
  return session.number(
    `SELECT count(*) AS n FROM ${session.name(table.name)} t WHERE ${danglingSql(session, table, key)}`,
  );
}

/**
 * The foreign keys with dangling references, each with examples.
 * @param tables those that references may lead to
 * @param from those whose references are followed
 */
export async function findDangling(
  session: Session,
  tables: readonly Table[],
  from: readonly Table[] = tables,
): Promise<DanglingKey[]> {
  const found: DanglingKey[] = [];
  for (const table of from) {
    for (const key of checkedKeys(table, tables)) {
      const count = await countOf(session, table, key);
      if (count === 0) continue;
      const examples = await session.all<{ row: string; target: string }>(
        `SELECT t.${quote(table.primaryKey)}::text COLLATE "C" AS row, t.${quote(key.column)}::text AS target
         FROM ${session.name(table.name)} t WHERE ${danglingSql(session, table, key)} ORDER BY 1 LIMIT ${maxExamples}`,
      );
      const targets = key.targets.map(({ name }) => name);
      found.push({ table: table.name, column: key.column, targets, count, examples });
    }
  }
  return found;
}

export function totalDangling(counts: Readonly<DanglingCounts>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

/** The condition that the row `t` refers to an absent row. */
function danglingSql(session: Session, table: Table, key: CheckedKey): string {
  const { column, typeColumn, targets, whole } = key;
  const isAbsent = (target: Table): string => absentSql(session, table, column, target);
  const areAbsent = targets.map(isAbsent).join(' AND ');
  const has = `t.${quote(column)} IS NOT NULL${andLive(table, 't')}`;
  if (typeColumn === undefined) return `${has} AND ${areAbsent}`;
  const type = `t.${quote(typeColumn)}`;
  const cases = targets.map(
    (target) => `(${type} = ${quoteText(target.logicalName)} AND ${isAbsent(target)})`,
  );
  if (whole) cases.push(`(${type} IS NULL AND ${areAbsent})`);
  return `${has} AND (${cases.join(' OR ')})`;
}

function absentSql(session: Session, table: Table, column: string, target: Table): string {
  const typeOf = (one: Table, name: string) =>
    one.columns.find((candidate) => candidate.name === name)?.reading;
  const [id, key] = [`t.${quote(column)}`, `x.${quote(target.primaryKey)}`];
  const isSame = typeOf(table, column) === typeOf(target, target.primaryKey);
  const equal = isSame ? `${key} = ${id}` : `${key}::text = ${id}::text`;
  return `NOT EXISTS (SELECT 1 FROM ${session.name(target.name)} x WHERE ${equal}${andLive(target, 'x')})`;
}

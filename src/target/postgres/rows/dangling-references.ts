import { quoteIdentifier as quote, quoteText } from '../../../schema/sql.ts';
import type { Table } from '../../../schema/table.ts';
import { type CheckedKey, checkedKeys, maxExamples } from '../../common/checked-keys.ts';
import { andLive, deletedAtColumn, hasMarks } from '../../common/mirror-table.ts';
import type { DanglingKey } from '../../mirror-check.ts';
import { liftLimits, type Placements, readPlacements } from '../cluster/placements.ts';
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
  const placements = await readPlacements(session);
  for (const table of tables) {
    for (const key of checkedKeys(table, tables)) {
      const known = before[key.name];
      const isTouched =
        changed === undefined || [table, ...key.targets].some(({ logicalName }) => changed.has(logicalName));
      counts[key.name] =
        known !== undefined && (!isTouched || (changed !== undefined && isKept(table)))
          ? known
          : await countOf(session, placements, table, key);
    }
  }
  return counts;
}

function countOf(session: Session, placements: Placements, table: Table, key: CheckedKey): Promise<number> {
  const { first, from } = danglingSql(session, placements, table, key);
  return session.number(`${first}SELECT count(*) AS n FROM ${from}`);
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
  await liftLimits(session);
  const found: DanglingKey[] = [];
  const placements = await readPlacements(session);
  for (const table of from) {
    for (const key of checkedKeys(table, tables)) {
      const count = await countOf(session, placements, table, key);
      if (count === 0) continue;
      const { first, from: rows } = danglingSql(session, placements, table, key);
      const examples = await session.all<{ row: string; target: string }>(
        `${first}SELECT t.${quote(table.primaryKey)}::text COLLATE "C" AS row, t.${quote(key.column)}::text AS target
         FROM ${rows} ORDER BY 1 LIMIT ${maxExamples}`,
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

/**
 * What follows FROM to get the rows `t` that refer to an absent row.
 *
 * Citus has no anti-join of a distributed table with another one but by the keys of both. There the references come here
 * first, then the keys that they lead to, and both are compared here (`first`).
 */
function danglingSql(
  session: Session,
  placements: Placements,
  table: Table,
  key: CheckedKey,
): { first: string; from: string } {
  const { column, typeColumn, targets } = key;
  const name = session.name(table.name);
  const has = `t.${quote(column)} IS NOT NULL${andLive(table, 't')}`;
  if (![table, ...targets].some((one) => placements.get(one.name) === 'distributed')) {
    const absent = absentCondition(table, key, (target) => session.name(target.name));
    return { first: '', from: `${name} t WHERE ${has} AND ${absent}` };
  }
  const columns = [table.primaryKey, column, ...(typeColumn === undefined ? [] : [typeColumn])];
  const selected = [...new Set(columns)].map((one) => `t.${quote(one)}`).join(', ');
  const references = `t AS MATERIALIZED (SELECT ${selected} FROM ${name} t WHERE ${has})`;
  const found = targets.map((target, n) => {
    const [id, keyOfTarget] = comparable(table, column, target, 't', 'x');
    const kept = hasMarks(target) ? `, x.${quote(deletedAtColumn)}` : '';
    return `x${n} AS MATERIALIZED (SELECT x.${quote(target.primaryKey)}${kept} FROM ${session.name(target.name)} x
      WHERE ${keyOfTarget} IN (SELECT ${id} FROM t))`;
  });
  const absent = absentCondition(table, key, (target) => `x${targets.indexOf(target)}`);
  return { first: `WITH ${[references, ...found].join(', ')} `, from: `t WHERE ${absent}` };
}

/** The condition that the row `t`, which refers to a row, refers to an absent one. @param from the name of a target's rows */
function absentCondition(table: Table, key: CheckedKey, from: (target: Table) => string): string {
  const { column, typeColumn, targets, whole } = key;
  const isAbsent = (target: Table): string => {
    const [id, keyOfTarget] = comparable(table, column, target, 't', 'x');
    return `NOT EXISTS (SELECT 1 FROM ${from(target)} x WHERE ${keyOfTarget} = ${id}${andLive(target, 'x')})`;
  };
  const areAbsent = targets.map(isAbsent).join(' AND ');
  if (typeColumn === undefined) return areAbsent;
  const type = `t.${quote(typeColumn)}`;
  const cases = targets.map(
    (target) => `(${type} = ${quoteText(target.logicalName)} AND ${isAbsent(target)})`,
  );
  if (whole) cases.push(`(${type} IS NULL AND ${areAbsent})`);
  return `(${cases.join(' OR ')})`;
}

/** A reference and the key that it leads to, as values of one type. */
function comparable(
  table: Table,
  column: string,
  target: Table,
  row: string,
  other: string,
): [string, string] {
  const typeOf = (one: Table, name: string) =>
    one.columns.find((candidate) => candidate.name === name)?.reading;
  const cast = typeOf(table, column) === typeOf(target, target.primaryKey) ? '' : '::text';
  return [`${row}.${quote(column)}${cast}`, `${other}.${quote(target.primaryKey)}${cast}`];
}

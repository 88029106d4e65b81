import { type MigrationPlan, planMigration, type SchemaChange } from '../../../schema/migration.ts';
import { quoteIdentifier as quote } from '../../../schema/sql.ts';
import type { Column, Table } from '../../../schema/table.ts';
import { deletedAtColumn, hasMarks } from '../../common/mirror-table.ts';
import { type ChangeContext, recordChange } from '../bookkeeping/table-lists.ts';
import { bringBothHome } from '../cluster/place-table.ts';
import { placementOf } from '../cluster/placements.ts';
import type { Session } from '../connection/session.ts';
import { castSql, holds, postgresType } from './column-types.ts';
import { indexName } from './names.ts';
import { dropViews, dropViewsOf } from './own-views.ts';
import { storedColumns } from './stored-columns.ts';

export interface MigrateOptions extends ChangeContext {
  /** The tables that references may lead to, now and before. */
  synced: readonly Table[];
  syncedBefore: readonly Table[];
}

export interface Migrated {
  /** The table as the database holds it. */
  table: Table;
  changes: number;
  /** Whether the rows are others: those without the new key are gone. */
  hasNewKey: boolean;
  /** Whether it can have changed values of rows that were there. */
  hasOtherValues: boolean;
}

/** What brings one table from the schema in the database to that of the catalog. */
export function planOf(
  before: Table | undefined,
  table: Table,
  options: Pick<MigrateOptions, 'synced' | 'syncedBefore'>,
): MigrationPlan {
  const plan = planMigration(before ?? { ...table, declaredKeys: [] }, table, options);
  if (before !== undefined) return plan;
  const detail = `table ${table.name} was created with ${table.columns.length} columns`;
  const created: SchemaChange = { table: table.logicalName, change: 'new-table', detail, needsReread: false };
  return { ...plan, changes: [created], hasNewKey: false, hasOtherValues: false };
}

/**
 * Brings a table from one schema to another without losing a row: in place, because PostgreSQL can alter columns. Columns
 * that Dataverse dropped keep their last values. References are not declared: a row can arrive before the row that it
 * refers to, and stay after it. They are listed in `_sync_foreign_keys`, and have an index each.
 */
export async function migrateTable(
  session: Session,
  before: Table | undefined,
  to: Table,
  options: MigrateOptions,
): Promise<Migrated> {
  const plan = planOf(before, to, options);
  const { table, hasNewKey } = plan;
  const changes = [...plan.changes];
  if (before === undefined) await createTable(session, table);
  else changes.push(...(await alterTable(session, before, plan)));
  // The owner of the database may have given a column another type.
  const hasOtherValues = plan.hasOtherValues || changes.length > plan.changes.length;
  if (changes.length > 0) await createIndexes(session, to, options.synced);
  for (const change of changes) await recordChange(session, options, table.name, change);
  return { table, changes: changes.length, hasNewKey, hasOtherValues };
}

async function createTable(session: Session, table: Table): Promise<void> {
  const columns = table.columns.map((column) => `${quote(column.name)} ${postgresType(column)}`);
  // A view of another table may have had the name until now.
  await dropViews(session, [table.name]);
  await session.define(
    `CREATE TABLE ${session.name(table.name)} (${columns.join(', ')}, PRIMARY KEY (${quote(table.primaryKey)}))`,
  );
}

async function alterTable(session: Session, from: Table, plan: MigrationPlan): Promise<SchemaChange[]> {
  const { table: to, columns, hasNewKey } = plan;
  const found: SchemaChange[] = [];
  const name = session.name(to.name);
  const alter = (what: string) => session.define(`ALTER TABLE ${name} ${what}`);
  if (hasNewKey || !(await isKeyKept(session, from, plan))) await bringBothHome(session, from);
  if (from.name !== to.name) {
    await session.define(`ALTER TABLE ${session.name(from.name)} RENAME TO ${quote(to.name)}`);
    for (const { column } of from.foreignKeys) {
      await session.define(`DROP INDEX IF EXISTS ${session.name(indexName(from, column))}`);
    }
  }
  // `deletes: "mark"` was given up: rows that were only marked are deleted now, and the marks go.
  if (hasMarks(from) && !hasMarks(to)) {
    await session.run(`DELETE FROM ${name} WHERE ${quote(deletedAtColumn)} IS NOT NULL`);
  }
  const stored = await storedColumns(session, to.name);
  const wanted = new Map(to.columns.map((column) => [column.name, column]));
  const retyped = columns.kept.flatMap(({ from: before, to: after }) => {
    const column = wanted.get(after);
    const type = stored.get(before);
    const isFit = column === undefined || type === undefined || holds(type, postgresType(column));
    return isFit ? [] : { before, column, type };
  });
  const renamed = columns.kept.filter((pair) => pair.from !== pair.to);
  // Views stand in the way of these changes. They are created again with the labels.
  await dropViewsOf(session, to.name, [...columns.gone, ...retyped.map(({ before }) => before)]);
  for (const column of columns.gone) await alter(`DROP COLUMN IF EXISTS ${quote(column)}`);
  for (const { before, column, type } of retyped) {
    const wantedType = postgresType(column);
    await alter(
      `ALTER COLUMN ${quote(before)} TYPE ${wantedType} USING ${castSql(before, type, wantedType)}`,
    );
    if (plan.changes.some((change) => change.column === column.name)) continue;
    const detail = `column ${column.name} was ${type} and is ${wantedType}`;
    found.push({ table: to.logicalName, change: 'widened', column: column.name, detail, needsReread: false });
  }
  for (const pair of renamed) await alter(`RENAME COLUMN ${quote(pair.from)} TO ${quote(pair.to)}`);
  for (const column of columns.added) await addColumn(session, name, column, stored);
  if (hasNewKey) await changeKey(session, from, to, columns.kept);
  return found;
}

/** Whether a table that is on several nodes of a cluster keeps its key as it is. */
async function isKeyKept(session: Session, from: Table, { table, columns }: MigrationPlan): Promise<boolean> {
  if ((await placementOf(session, from.name)) === 'local') return true;
  const name = columns.kept.find((pair) => pair.from === from.primaryKey)?.to;
  const column = table.columns.find((one) => one.name === name);
  const type = (await storedColumns(session, from.name)).get(from.primaryKey);
  return column !== undefined && type !== undefined && holds(type, postgresType(column));
}

async function addColumn(
  session: Session,
  table: string,
  column: Column,
  stored: ReadonlyMap<string, string>,
): Promise<void> {
  // A column that the owner added has the values of nobody.
  if (stored.has(column.name))
    await session.define(`ALTER TABLE ${table} DROP COLUMN IF EXISTS ${quote(column.name)}`);
  await session.define(`ALTER TABLE ${table} ADD COLUMN ${quote(column.name)} ${postgresType(column)}`);
}

/** Two old rows can have the same new key, or a row none: such rows go, and are read again. */
async function changeKey(
  session: Session,
  from: Table,
  to: Table,
  kept: readonly { from: string; to: string }[],
): Promise<void> {
  const name = session.name(to.name);
  const key = quote(to.primaryKey);
  const [constraint] = await session.all<{ name: string }>(
    `SELECT k.conname AS name FROM pg_catalog.pg_constraint k WHERE k.conrelid = $1::regclass AND k.contype = 'p'`,
    [name],
  );
  if (constraint !== undefined)
    await session.define(`ALTER TABLE ${name} DROP CONSTRAINT ${quote(constraint.name)}`);
  const before = kept.find((pair) => pair.from === from.primaryKey);
  if (before !== undefined) {
    await session.define(`ALTER TABLE ${name} ALTER COLUMN ${quote(before.to)} DROP NOT NULL`);
  }
  const isKept = kept.some((pair) => pair.to === to.primaryKey);
  if (isKept) {
    await session.run(`DELETE FROM ${name} WHERE ${key} IS NULL`);
    await session.run(`DELETE FROM ${name} a USING ${name} b WHERE a.${key} = b.${key} AND a.ctid > b.ctid`);
  } else {
    await session.run(`DELETE FROM ${name}`);
  }
  await session.define(`ALTER TABLE ${name} ADD PRIMARY KEY (${key})`);
}

/** One index for each reference to a mirrored table. */
export async function createIndexes(session: Session, table: Table, synced: readonly Table[]): Promise<void> {
  const targets = new Set(synced.map(({ logicalName }) => logicalName));
  const columns = new Set(table.columns.map(({ name }) => name));
  for (const key of table.foreignKeys) {
    if (key.column === table.primaryKey || !columns.has(key.column)) continue;
    if (!key.targets.some((target) => targets.has(target))) continue;
    await session.define(
      `CREATE INDEX IF NOT EXISTS ${quote(indexName(table, key.column))} ON ${session.name(table.name)} (${quote(key.column)})`,
    );
  }
}

import { columnTypes } from './column-types.ts';
import {
  addColumnSql,
  createTableSql,
  type DdlOptions,
  declaredForeignKeys,
  indexName,
  indexSql,
  quoteIdentifier as quote,
  renameTableSql,
} from './sql.ts';
import type { Column, Table } from './table.ts';

export type SchemaChangeKind =
  | 'new-table'
  | 'renamed-table'
  | 'new-column'
  | 'restored-column'
  | 'recreated-column'
  | 'removed-column'
  | 'widened'
  | 'retyped'
  | 'new-key'
  | 'foreign-keys'
  | 'dropped-table';

/** One row of `_sync_schema_changes`. */
export interface SchemaChange {
  /** The table's logical name. */
  table: string;
  change: SchemaChangeKind;
  column?: string;
  /** What changed, as a sentence for people. */
  detail: string;
  /** Whether all rows must be read again and written whatever their version, because the rows did not change. */
  needsReread: boolean;
}

export interface Migration {
  /** To run in this order, in one transaction, with foreign keys not enforced. */
  statements: string[];
  changes: SchemaChange[];
  /** The table after the migration: `to`, with the dropped columns in `staleColumns`. */
  table: Table;
  /** Whether it can change rows that are there: values of another type, rows without the new key, columns that go. */
  hasOtherValues: boolean;
}

export interface MigrationOptions extends DdlOptions {
  /** The tables that were in the database before: a foreign key between two of them is not a change. */
  syncedBefore?: readonly Table[];
}

/** The statements and the change for a table that the database does not have yet. */
export function newTableMigration(table: Table, options: DdlOptions = {}): Migration {
  const detail = `table ${table.name} was created with ${table.columns.length} columns`;
  return {
    statements: [
      // A view of another table may have had the name until now.
      `DROP VIEW IF EXISTS ${quote(table.name)}`,
      createTableSql(table, options),
      ...indexSql(table, options),
    ],
    changes: [{ table: table.logicalName, change: 'new-table', detail, needsReread: false }],
    table: withDeclaredKeys(table, options),
    hasOtherValues: false,
  };
}

/**
 * Brings a table from one schema to another without losing a row. Columns are added in place. A changed type, key or
 * foreign key needs a new table, because SQLite cannot alter a column (sqlite.org: ALTER TABLE, "Making Other Kinds Of
 * Table Schema Changes"). Dropped columns keep their last values.
 */
export function migrationSql(from: Table, to: Table, options: MigrationOptions = {}): Migration {
  const migration = planMigration(from, to, options);
  const { columns: plan, changes, table, hasNewKey, haveKeysChanged, hasOtherValues } = migration;
  const statements: string[] = [];
  if (hasNewKey || haveKeysChanged || plan.rebuild) {
    statements.push(...rebuild(from, table, plan.kept, options));
  } else {
    if (from.name !== to.name) {
      // An index keeps its name if its table gets another.
      for (const { column } of from.foreignKeys) {
        statements.push(`DROP INDEX IF EXISTS ${quote(indexName(from, column))}`);
      }
      statements.push(...renameTableSql(from.name, to.name));
    }
    for (const column of plan.added) statements.push(addColumnSql(to, column, options));
  }
  if (changes.length > 0) statements.push(...indexSql(to, options));
  return { statements, changes, table, hasOtherValues };
}

/** What brings a table from one schema to another, whatever the database. */
export interface MigrationPlan extends Omit<Migration, 'statements'> {
  columns: ColumnPlan;
  hasNewKey: boolean;
  haveKeysChanged: boolean;
}

/** Compares the schema of a table in the database with the one that it is to have. */
export function planMigration(from: Table, to: Table, options: MigrationOptions = {}): MigrationPlan {
  const plan = planColumns(from, to);
  const declared = withDeclaredKeys(to, options);
  const table: Table = plan.stale.length === 0 ? declared : { ...declared, staleColumns: plan.stale };
  const changes = [...plan.changes];
  const note = (change: SchemaChangeKind, detail: string, needsReread: boolean): void => {
    changes.push({ table: to.logicalName, change, detail, needsReread });
  };
  if (from.name !== to.name) {
    note('renamed-table', `the entity set ${from.name} is now called ${to.name}`, false);
  }
  const hasNewKey = from.primaryKey !== to.primaryKey;
  if (hasNewKey) note('new-key', `the key is now ${to.primaryKey}; it was ${from.primaryKey}`, true);
  const foreignKeyChanges = compareForeignKeys(from, to, options);
  const haveKeysChanged = foreignKeyChanges.length > 0;
  if (haveKeysChanged) note('foreign-keys', `foreign keys: ${foreignKeyChanges.join('; ')}`, false);
  const hasOtherValues = hasNewKey || plan.hasOtherValues;
  return { columns: plan, changes, table, hasNewKey, haveKeysChanged, hasOtherValues };
}

/** The change of a column that is only in SQLite now. */
export function removedColumn(table: string, column: string): SchemaChange {
  const detail = `column ${column} is gone; its last values stay`;
  return { table, change: 'removed-column', column, detail, needsReread: false };
}

/** A column that an option added goes with the option: Dataverse does not have its values. */
function removedOption(table: string, column: string): SchemaChange {
  const detail = `column ${column} is removed with the option that added it`;
  return { table, change: 'removed-column', column, detail, needsReread: false };
}

const isOfOption = ({ edmType }: Column): boolean => edmType === 'sync';

export interface ColumnPlan {
  /** The columns of both schemas, with their old and new names. */
  kept: { from: string; to: string }[];
  added: Column[];
  /** Columns that keep their last values. */
  stale: Column[];
  /** Columns that go with the option that added them, or are added anew after it was given up. */
  gone: string[];
  /** Whether SQLite needs a new table for it. */
  rebuild: boolean;
  /** Whether columns go, or get another type. */
  hasOtherValues: boolean;
  changes: SchemaChange[];
}

function planColumns(from: Table, to: Table): ColumnPlan {
  const plan: ColumnPlan = {
    ...{ kept: [], added: [], stale: [], gone: [], changes: [] },
    ...{ rebuild: false, hasOtherValues: false },
  };
  const note = (change: SchemaChangeKind, column: string, detail: string, needsReread: boolean): void => {
    plan.changes.push({ table: to.logicalName, change, column, detail, needsReread });
  };
  // SQLite's names are case-insensitive.
  const byName = (columns: readonly Column[] = []): Map<string, Column> =>
    new Map(columns.map((column) => [column.name.toLowerCase(), column]));
  const live = byName(from.columns);
  const stale = byName(from.staleColumns);
  const wanted = byName(to.columns);

  for (const [key, column] of wanted) {
    const { name } = column;
    const before = live.get(key) ?? stale.get(key);
    if (before === undefined || (!live.has(key) && isOfOption(column))) {
      // The old values of an option that was given up say nothing about the rows of today.
      if (before !== undefined) {
        plan.rebuild = true;
        plan.gone.push(before.name);
      }
      plan.added.push(column);
      note('new-column', name, `column ${name} (${column.edmType}) is new`, true);
      continue;
    }
    plan.kept.push({ from: before.name, to: name });
    if (before.type !== column.type || before.name !== name) plan.rebuild = true;
    const change = typeChange(before, column);
    if (change !== 'same') plan.hasOtherValues = true;
    if (!live.has(key)) {
      // The foreign key that it was declared with is not known.
      plan.rebuild = true;
      note('restored-column', name, `column ${name} (${column.edmType}) is back`, true);
      continue;
    }
    if (change === 'same') {
      if (isCreatedAgain(before, column)) {
        note('recreated-column', name, `column ${name} was deleted and created again`, true);
      }
      continue;
    }
    const needsReread = change === 'retyped' || column.type === 'TEXT';
    note(change, name, `column ${name} was ${before.edmType} and is ${column.edmType}`, needsReread);
  }
  for (const [key, column] of live) {
    if (wanted.has(key)) continue;
    if (isOfOption(column)) {
      plan.rebuild = true;
      plan.gone.push(column.name);
      plan.changes.push(removedOption(to.logicalName, column.name));
      continue;
    }
    plan.stale.push(column);
    plan.changes.push(removedColumn(to.logicalName, column.name));
  }
  if (plan.gone.length > 0) plan.hasOtherValues = true;
  for (const [key, column] of stale) if (!wanted.has(key)) plan.stale.push(column);
  for (const { name } of plan.stale) plan.kept.push({ from: name, to: name });
  return plan;
}

/** The values of a deleted column are gone, and no row has a new version. */
function isCreatedAgain(before: Column, { incarnation }: Column): boolean {
  return before.incarnation !== undefined && incarnation !== undefined && before.incarnation !== incarnation;
}

/**
 * What a new type means for the values in the database: nothing, a conversion that SQLite does, or that the rows must
 * be read again.
 */
function typeChange(from: Column, to: Column): 'same' | 'widened' | 'retyped' {
  if (from.reading === to.reading) {
    // SQLite stores all kinds of integers alike, and all kinds of reals. Texts, dates and times differ.
    return from.edmType === to.edmType || from.type !== 'TEXT' ? 'same' : 'retyped';
  }
  return columnTypes[from.reading].widensTo.includes(to.reading) ? 'widened' : 'retyped';
}

/** The foreign keys that are declared in only one of the two schemas, as sentences. */
function compareForeignKeys(from: Table, to: Table, options: MigrationOptions): string[] {
  // An added column brings its foreign key with it, and a dropped column keeps it.
  const wanted = new Set(to.columns.map(({ name }) => name));
  const both = new Set(from.columns.map(({ name }) => name).filter((name) => wanted.has(name)));
  const before = new Set(
    from.declaredKeys?.filter((key) => both.has(columnOfKey(key))) ??
      describeForeignKeys(from, both, options.syncedBefore ?? options.synced),
  );
  const after = describeForeignKeys(to, both, options.synced);
  return [
    ...[...before].filter((key) => !after.has(key)).map((key) => `${key} is no longer declared`),
    ...[...after].filter((key) => !before.has(key)).map((key) => `${key} is now declared`),
  ];
}

/** The table with the foreign keys that it declares in a database with these tables. */
function withDeclaredKeys(table: Table, { synced }: DdlOptions): Table {
  const columns = new Set(table.columns.map(({ name }) => name));
  return { ...table, declaredKeys: [...describeForeignKeys(table, columns, synced)] };
}

/** A foreign key as `Table.declaredKeys` has it. */
export function declaredKey(column: string, table: string, primaryKey: string): string {
  return `${column} → ${table}.${primaryKey}`;
}

const columnOfKey = (key: string): string => key.slice(0, key.lastIndexOf(' → '));

/** The declared foreign keys of some columns: `_primarycontactid_value → contacts.contactid`. */
function describeForeignKeys(
  table: Table,
  columns: ReadonlySet<string>,
  synced: readonly Table[] = [],
): Set<string> {
  return new Set(
    declaredForeignKeys(table, synced)
      .filter(({ column }) => columns.has(column))
      .map(({ column, references }) => declaredKey(column, references.name, references.primaryKey)),
  );
}

/**
 * SQLite's own procedure: create the new table, copy the rows, drop the old table, rename the new one. Values take the
 * affinity of the new column.
 */
function rebuild(from: Table, to: Table, kept: ColumnPlan['kept'], options: DdlOptions): string[] {
  const temporary = `_sync_rebuild_${to.name}`;
  const target = kept.map((pair) => quote(pair.to)).join(', ');
  const source = kept.map((pair) => quote(pair.from)).join(', ');
  const key = kept.find((pair) => pair.to === to.primaryKey);
  const statements = [createTableSql({ ...to, name: temporary }, options)];
  if (key !== undefined) {
    // Two old rows can have the same new key, or a row none: such rows are left out and read again.
    const newKey = from.primaryKey !== to.primaryKey;
    const insert = newKey ? 'INSERT OR IGNORE' : 'INSERT';
    const where = newKey ? ` WHERE ${quote(key.from)} IS NOT NULL` : '';
    statements.push(
      `${insert} INTO ${quote(temporary)} (${target}) SELECT ${source} FROM ${quote(from.name)}${where}`,
    );
  }
  statements.push(`DROP TABLE ${quote(from.name)}`, ...renameTableSql(temporary, to.name));
  return statements;
}

import { columnTypes } from './column-types.ts';
import {
  addColumnSql,
  createTableSql,
  type DdlOptions,
  declaredForeignKeys,
  indexName,
  indexSql,
} from './ddl.ts';
import { quoteIdentifier } from './sql.ts';
import type { Column, Table } from './table.ts';

export type SchemaChangeKind =
  | 'new-table'
  | 'renamed-table'
  | 'new-column'
  | 'restored-column'
  | 'removed-column'
  | 'widened'
  | 'retyped'
  | 'new-key'
  | 'foreign-keys';

/** One line of `_sync_schema_changes`. */
export interface SchemaChange {
  /** The table's logical name. */
  table: string;
  change: SchemaChangeKind;
  column?: string;
  /** What changed, as a sentence for people. */
  detail: string;
  /** Whether all rows have to be read again and written whatever their version, since the row itself did not change. */
  needsReread: boolean;
}

export interface Migration {
  /** To be run in this order, in one transaction, with foreign keys not enforced. */
  statements: string[];
  changes: SchemaChange[];
  /** The table as it stands afterwards: `to`, with the columns that stay behind in `staleColumns`. */
  table: Table;
}

export interface MigrationOptions extends DdlOptions {
  /** The tables that stood in the database before; foreign keys between old neighbours are not news. */
  syncedBefore?: readonly Table[] | undefined;
}

/** The statements and the change for a table that the database does not have yet. */
export function newTableMigration(table: Table, options: DdlOptions = {}): Migration {
  const detail = `table ${table.name} was created with ${table.columns.length} columns`;
  return {
    statements: [createTableSql(table, options), ...indexSql(table, options)],
    changes: [{ table: table.logicalName, change: 'new-table', detail, needsReread: false }],
    table,
  };
}

/**
 * Brings a table from one schema to another without losing a row. Columns are added in place; a changed type, key
 * or foreign key needs a new table, since SQLite cannot alter a column (sqlite.org: ALTER TABLE, "Making Other Kinds
 * Of Table Schema Changes"). Columns that are gone keep their last values.
 */
export function migrationSql(from: Table, to: Table, options: MigrationOptions = {}): Migration {
  const plan = planColumns(from, to);
  const table: Table = plan.stale.length === 0 ? to : { ...to, staleColumns: plan.stale };
  const changes = [...plan.changes];
  const note = (change: SchemaChangeKind, detail: string, needsReread: boolean): void => {
    changes.push({ table: to.logicalName, change, detail, needsReread });
  };
  if (from.name !== to.name) {
    note('renamed-table', `the entity set ${from.name} is now called ${to.name}`, false);
  }
  const newKey = from.primaryKey !== to.primaryKey;
  if (newKey) note('new-key', `the key is now ${to.primaryKey}, it was ${from.primaryKey}`, true);
  // An added column brings its foreign key along, and one that is gone keeps it.
  const wanted = new Set(to.columns.map(({ name }) => name));
  const both = new Set(from.columns.map(({ name }) => name).filter((name) => wanted.has(name)));
  const keysBefore = describeForeignKeys(from, both, options.syncedBefore ?? options.synced);
  const keysAfter = describeForeignKeys(to, both, options.synced);
  const keysGone = [...keysBefore].filter((key) => !keysAfter.has(key));
  const keysCome = [...keysAfter].filter((key) => !keysBefore.has(key));
  const newForeignKeys = keysGone.length + keysCome.length > 0;
  if (newForeignKeys) {
    const news = [
      ...keysGone.map((key) => `${key} is no longer declared`),
      ...keysCome.map((key) => `${key} is declared now`),
    ];
    note('foreign-keys', `foreign keys: ${news.join('; ')}`, false);
  }

  const statements: string[] = [];
  if (newKey || newForeignKeys || plan.rebuild) {
    statements.push(...rebuild(from, table, plan.kept, options));
  } else {
    if (from.name !== to.name) {
      // An index keeps its name when its table gets another.
      const indexes = from.foreignKeys.map(({ column }) => quoteIdentifier(indexName(from, column)));
      statements.push(...indexes.map((index) => `DROP INDEX IF EXISTS ${index}`));
      statements.push(...rename(from.name, to.name));
    }
    for (const column of plan.added) statements.push(addColumnSql(to, column, options));
  }
  if (changes.length > 0) statements.push(...indexSql(to, options));
  return { statements, changes, table };
}

interface ColumnPlan {
  /** Columns of both: old name and new. */
  kept: { from: string; to: string }[];
  added: Column[];
  stale: Column[];
  rebuild: boolean;
  changes: SchemaChange[];
}

function planColumns(from: Table, to: Table): ColumnPlan {
  const plan: ColumnPlan = { kept: [], added: [], stale: [], rebuild: false, changes: [] };
  const note = (change: SchemaChangeKind, column: string, detail: string, needsReread: boolean): void => {
    plan.changes.push({ table: to.logicalName, change, column, detail, needsReread });
  };
  // SQLite's names do not know upper and lower case.
  const live = new Map(from.columns.map((column) => [column.name.toLowerCase(), column]));
  const stale = new Map((from.staleColumns ?? []).map((column) => [column.name.toLowerCase(), column]));
  const wanted = new Set(to.columns.map(({ name }) => name.toLowerCase()));

  for (const column of to.columns) {
    const { name } = column;
    const before = live.get(name.toLowerCase()) ?? stale.get(name.toLowerCase());
    if (before === undefined) {
      plan.added.push(column);
      note('new-column', name, `column ${name} (${column.edmType}) is new`, true);
      continue;
    }
    plan.kept.push({ from: before.name, to: name });
    if (before.type !== column.type || before.name !== name) plan.rebuild = true;
    if (!live.has(name.toLowerCase())) {
      // What foreign key it was left with is not known.
      plan.rebuild = true;
      note('restored-column', name, `column ${name} (${column.edmType}) is back`, true);
      continue;
    }
    const kind = typeChange(before, column);
    if (kind === 'same') continue;
    const needsReread = kind === 'retyped' || column.type === 'TEXT';
    note(kind, name, `column ${name} was ${before.edmType} and is ${column.edmType}`, needsReread);
  }
  for (const column of from.columns) {
    if (wanted.has(column.name.toLowerCase())) continue;
    plan.stale.push(column);
    note('removed-column', column.name, `column ${column.name} is gone; its last values stay`, false);
  }
  plan.stale.push(...[...stale].filter(([name]) => !wanted.has(name)).map(([, column]) => column));
  for (const { name } of plan.stale) plan.kept.push({ from: name, to: name });
  return plan;
}

/**
 * What a new type means for the values in the database: nothing, a conversion that SQLite does, or that the rows must
 * be read again.
 */
function typeChange(from: Column, to: Column): 'same' | 'widened' | 'retyped' {
  if (from.reading === to.reading) {
    // All kinds of integers and of reals look alike in SQLite. Texts, dates and times share only the storage class.
    return from.edmType === to.edmType || from.type !== 'TEXT' ? 'same' : 'retyped';
  }
  return columnTypes[from.reading].widensTo.includes(to.reading) ? 'widened' : 'retyped';
}

/** New table, rows over, old table away, new name: SQLite's own recipe. Values take the new column's affinity. */
function rebuild(from: Table, to: Table, kept: ColumnPlan['kept'], options: DdlOptions): string[] {
  const temporary = `_sync_rebuild_${to.name}`;
  const target = kept.map((pair) => quoteIdentifier(pair.to)).join(', ');
  const source = kept.map((pair) => quoteIdentifier(pair.from)).join(', ');
  const key = kept.find((pair) => pair.to === to.primaryKey);
  const statements = [createTableSql({ ...to, name: temporary }, options)];
  if (key !== undefined) {
    // Under another key two old rows may be one, and a row may have none: it cannot be kept and is read again.
    const conflict = from.primaryKey === to.primaryKey ? 'INSERT' : 'INSERT OR IGNORE';
    const where = from.primaryKey === to.primaryKey ? '' : ` WHERE ${quoteIdentifier(key.from)} IS NOT NULL`;
    statements.push(
      `${conflict} INTO ${quoteIdentifier(temporary)} (${target}) SELECT ${source} FROM ${quoteIdentifier(from.name)}${where}`,
    );
  }
  statements.push(`DROP TABLE ${quoteIdentifier(from.name)}`, ...rename(temporary, to.name));
  return statements;
}

/** The legacy way leaves views alone: they name the table that is away for a moment. */
function rename(from: string, to: string): string[] {
  return [
    'PRAGMA legacy_alter_table = ON',
    `ALTER TABLE ${quoteIdentifier(from)} RENAME TO ${quoteIdentifier(to)}`,
    'PRAGMA legacy_alter_table = OFF',
  ];
}

/** The declared foreign keys of some columns: `_primarycontactid_value → contacts.contactid`. */
function describeForeignKeys(
  table: Table,
  columns: ReadonlySet<string>,
  synced: readonly Table[] = [],
): Set<string> {
  return new Set(
    declaredForeignKeys(table, synced)
      .filter(({ column }) => columns.has(column))
      .map(({ column, references }) => `${column} → ${references.name}.${references.primaryKey}`),
  );
}

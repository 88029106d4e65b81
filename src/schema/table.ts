import type { ColumnType, SqliteType } from './column-types.ts';

/**
 * The table model: one Dataverse table and its copy in SQLite. `tableFromCsdl` makes it from `$metadata`; plans,
 * catalogs and `state.json` keep it as JSON, so it is plain data.
 */

export interface Column {
  /** The name in SQLite: the name of the property, or `_x_type` for the target table of a lookup. */
  name: string;
  /**
   * The JSON property with the value: the name of the column, or for `_x_type` the annotation
   * `_x_value@Microsoft.Dynamics.CRM.lookuplogicalname`. Undefined for a column that the sync adds.
   */
  property?: string;
  /** The type as in `$metadata`: `Edm.Guid`, `mscrm.BooleanManagedProperty`, `Collection(Edm.Int32)`. */
  edmType: string;
  /** The declared type in SQLite. */
  type: SqliteType;
  /** The type of the column, which says how a value is read. Stored under this name in databases and states. */
  reading: ColumnType;
}

/** A column that points to rows of other tables. */
export interface ForeignKey {
  column: string;
  /** Logical names of the tables it may point to: one, or several for a polymorphic lookup. */
  targets: string[];
  /** The column that tells the target row by row, for a polymorphic lookup; without it any target may be meant. */
  typeColumn?: string;
  /** Where the knowledge comes from: a referential constraint, or the name's pattern. */
  source: 'metadata' | 'pattern';
}

export interface Table {
  /** Dataverse's logical name: `account`. */
  logicalName: string;
  /** The entity set's name, which is the SQLite table's name too: `accounts`. */
  name: string;
  /** The one key column, `TEXT PRIMARY KEY`: the table's primary id, `systemuserid` rather than `ownerid`. */
  primaryKey: string;
  /** The primary name column where there is one: `name`, `fullname`. */
  primaryName?: string;
  /** In their fixed order: the key, then by name. */
  columns: Column[];
  foreignKeys: ForeignKey[];
  /** Columns that stand in SQLite with their last values though Dataverse, or the selection, has them no more. */
  staleColumns?: Column[];
  /** `versionnumber` where the table has it. */
  versionColumn?: string;
  /** `modifiedon` where the table has it. */
  modifiedOnColumn?: string;
  /** Whether Dataverse keeps changes of it: the table's own setting, for an N:N table that of both its ends. */
  changeTracking: boolean;
  /** Whether it is the table behind an N:N relationship. */
  intersect: boolean;
}

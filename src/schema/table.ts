/**
 * The table model: what one Dataverse table looks like and how it stands in SQLite.
 * Made from `$metadata` by `tableFromCsdl`, kept as JSON in plans and in `state.json`; plain data, no methods.
 */

/** SQLite's storage classes that the mirror uses. */
export type SqliteType = 'INTEGER' | 'REAL' | 'TEXT' | 'BLOB';

/**
 * How the shard writer turns a column's JSON value into SQLite's.
 * - `text`: a string as it is; a number or a boolean as its own JSON text
 * - `guid`: as `text`, in lower case
 * - `integer`: exact to 64 bits
 * - `real`: the nearest double
 * - `boolean`: 0 or 1
 * - `json`: the value's JSON text, minified (complex types and collections)
 * - `base64`: bytes
 */
export type ColumnReading = 'text' | 'guid' | 'integer' | 'real' | 'boolean' | 'json' | 'base64';

export interface Column {
  /** Its name in SQLite: the property's own name, or for a lookup's target table `_x_type`. */
  name: string;
  /**
   * The JSON property it is read from: the column's own name; for `_x_type` the annotation
   * `_x_value@Microsoft.Dynamics.CRM.lookuplogicalname`; undefined for a column of the sync's own.
   */
  property?: string;
  /** The type as in `$metadata`: `Edm.Guid`, `mscrm.BooleanManagedProperty`, `Collection(Edm.Int32)`. */
  edmType: string;
  type: SqliteType;
  reading: ColumnReading;
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

import type { ColumnType, SqliteType } from './column-types.ts';

/**
 * The table model: one Dataverse table and its copy in SQLite. `tableFromCsdl` makes it from `$metadata`; catalogs and
 * `state.json` keep it as JSON, so it is plain data.
 */
export interface Table {
  /** Dataverse's logical name: `account`. */
  logicalName: string;
  /** The name of the SQLite table. It is the name of the entity set, `accounts`, unless the database cannot use that. */
  name: string;
  /** The name of the entity set, if it is another one. */
  entitySet?: string;
  /** The name of the database that has the table, if that is not the default one. */
  database?: string;
  /** The one key column, `TEXT PRIMARY KEY`: the primary id of the table, `systemuserid` rather than `ownerid`. */
  primaryKey: string;
  /** The primary name column, if the table has one: `name`, `fullname`. */
  primaryName?: string;
  /** The key first, then the others by name. */
  columns: Column[];
  foreignKeys: ForeignKey[];
  /** Columns that are only in SQLite, with their last values: Dataverse or the column selection dropped them. */
  staleColumns?: Column[];
  /**
   * The foreign keys that the table in SQLite declares: `_primarycontactid_value → contacts.contactid`. Only of a table in
   * the database, and absent where an earlier version of the app created it.
   */
  declaredKeys?: string[];
  /** `versionnumber`, if the table has it. */
  versionColumn?: string;
  /** `modifiedon`, if the table has it. */
  modifiedOnColumn?: string;
  /** Whether Dataverse tracks changes: the setting of the table, or for an N:N table the settings of both its ends. */
  changeTracking: boolean;
  /** Whether it is the table behind an N:N relationship. */
  intersect: boolean;
}

export interface Column {
  /** The name in SQLite: the name of the property, or `_x_type` for the target table of a lookup. */
  name: string;
  /**
   * The JSON property with the value: the name of the column, or for `_x_type` the annotation
   * `_x_value@Microsoft.Dynamics.CRM.lookuplogicalname`. Undefined for a column that the sync adds.
   */
  property?: string;
  /**
   * The type as in `$metadata`: `Edm.Guid`, `mscrm.BooleanManagedProperty`, `Collection(Edm.Int32)`. `sync` for a column
   * that an option adds.
   */
  edmType: string;
  /** The declared type in SQLite. */
  type: SqliteType;
  /**
   * Whether its values change without a new version of the row, because Dataverse computes them or hides them from users
   * without the right.
   */
  unversioned?: boolean;
  /** Another text after Dataverse deleted the column and created it again; absent if the definitions do not tell. */
  incarnation?: string;
  /** The type of the column, which says how its values are read. Databases and states store it under this name. */
  reading: ColumnType;
}

/** A column that refers to rows of other tables. */
export interface ForeignKey {
  column: string;
  /** Logical names of the target tables: one, or several for a polymorphic lookup. */
  targets: string[];
  /** The column with the target table of each row, for a polymorphic lookup. Without it any target is possible. */
  typeColumn?: string;
  /** Where it comes from: a referential constraint in `$metadata`, or the pattern of the column's name. */
  source: 'metadata' | 'pattern';
}

/**
 * The version of the models that this code makes of the tables. A catalog is used as long as the metadata, entities.json
 * and this number are the same. So raise it with each change by which the same metadata gives another model: another
 * mapping of types, other names, keys or foreign keys, a new member of `Table` or `Column`, other labels. The next run then makes the
 * catalog anew and compares it with the mirror, as after a change of the schema. A test reminds of it.
 *
 * Rows are read again where the type of a column (`reading`) changed. If the conversion of values changes and the type
 * keeps its name, no row is read again: give the type another name, too.
 */
export const modelVersion = 3;

/** The name of the table's entity set, for requests to Dataverse. */
export function entitySetOf({ entitySet, name }: Table): string {
  return entitySet ?? name;
}

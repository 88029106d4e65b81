/** The sample's model of tables and columns, from which `$metadata`, rows and queries are made. */

/** An option of a choice column. `state` is the state of a status reason. */
export interface ChoiceOption {
  value: number;
  label: string;
  state?: number;
}

export type ChoiceKind = 'choice' | 'multichoice' | 'state' | 'status' | 'boolean';

/** A table that a lookup can point to. A polymorphic lookup has several. */
export interface LookupTarget {
  table: string;
  /** The single-valued navigation property, case-sensitive: `parentcustomerid_account`. */
  navigation: string;
  /** The column of the target in the referential constraint. */
  referenced: string;
  /** The schema name of the relationship, if it was created with one. */
  relationship?: string;
}

export interface Column {
  name: string;
  /** `Edm.String`, `mscrm.BooleanManagedProperty`, `Collection(Edm.String)`. */
  type: string;
  /** The attribute's logical name: `parentcustomerid` for `_parentcustomerid_value`. */
  logicalName: string;
  schemaName?: string;
  /** By default the logical name. */
  displayName?: string;
  description?: string;
  maxLength?: number;
  precision?: number;
  scale?: number;
  choice?: { kind: ChoiceKind; options: ChoiceOption[]; global?: string };
  targets?: LookupTarget[];
  /** Only the service sets it. Writes ignore it. */
  readOnly?: boolean;
  /** How the service computes the values: `SourceType`. They change without a new version of the row. */
  source?: 'calculated' | 'rollup' | 'formula';
  /** `IsSecured`, and whether the user of the requests may read the values. Others see nothing. */
  secured?: 'hidden' | 'readable';
  /** Tells a column from one of the same name that was dropped before it. */
  incarnation?: string;
  /** A file column: the value is a reference, the content has requests of its own. */
  file?: boolean;
}

export interface AlternateKey {
  name: string;
  columns: string[];
  /** How many more reads find the index of the key pending. */
  pendingReads?: number;
  /** Set if the index could not be built because rows have equal keys. */
  failed?: boolean;
}

/** The relationship that an N:N table holds. */
export interface Intersect {
  relationship: string;
  ends: [IntersectEnd, IntersectEnd];
}

export interface IntersectEnd {
  table: string;
  /** The column of the intersect table that holds this end's id. */
  column: string;
  /** The collection-valued navigation property on this end. */
  navigation: string;
}

export interface Table {
  logicalName: string;
  /** Absent for an abstract table without a set. */
  entitySetName?: string;
  schemaName: string;
  displayName: string;
  description?: string;
  baseType?: string;
  abstract: boolean;
  /** The key in `$metadata`, possibly of the base type. */
  key: string;
  /** `PrimaryIdAttribute`: `systemuserid`, although the key is `ownerid`. */
  primaryId: string;
  primaryName?: string;
  /** All columns, inherited ones first. A row keeps its values in this order. */
  columns: Column[];
  /** How many of `columns` are inherited. */
  inherited: number;
  changeTracking: boolean;
  intersect?: Intersect;
  alternateKeys: AlternateKey[];
  isActivity: boolean;
  /** `$orderby` is an error, as for some system tables. */
  rejectsOrderBy?: boolean;
  /** Reads are an error (0x80040800), as for some system tables. */
  rejectsReads?: boolean;
}

/** The position of a column by its exact name, or -1: names are case-sensitive. */
export function columnIndex(table: Table, name: string): number {
  let index = indexes.get(table);
  if (index === undefined) {
    index = new Map(table.columns.map((column, position) => [column.name, position]));
    indexes.set(table, index);
  }
  return index.get(name) ?? -1;
}

const indexes = new WeakMap<Table, Map<string, number>>();

/** Call this after a change of a table's columns. */
export function columnsChanged(table: Table): void {
  indexes.delete(table);
}

/** All tables of an organization, by logical name and by set name. */
export class Model {
  readonly tables = new Map<string, Table>();
  /** The options of shared choices, by name. */
  readonly globalChoices = new Map<string, ChoiceOption[]>();
  readonly #bySet = new Map<string, Table>();

  constructor(tables: readonly Table[]) {
    for (const table of tables) this.add(table);
  }

  add(table: Table): void {
    this.tables.set(table.logicalName, table);
    if (table.entitySetName !== undefined) this.#bySet.set(table.entitySetName, table);
  }

  remove(table: Table): void {
    this.tables.delete(table.logicalName);
    if (table.entitySetName !== undefined) this.#bySet.delete(table.entitySetName);
  }

  bySet(entitySetName: string): Table | undefined {
    return this.#bySet.get(entitySetName);
  }

  byName(logicalName: string): Table {
    const table = this.tables.get(logicalName);
    if (table === undefined) throw new Error(`the sample Dataverse has no table ${logicalName}`);
    return table;
  }

  /** The table and all tables derived from it. */
  family(table: Table): Table[] {
    const family = [table];
    for (const other of this.tables.values()) {
      if (other.baseType !== undefined && family.some((member) => member.logicalName === other.baseType)) {
        family.push(other);
      }
    }
    return family;
  }
}

/** The emulator's own model of tables and columns: what `$metadata`, rows and queries are made from. */

/** One option of a choice column. `state` ties a status reason to its state. */
export interface ChoiceOption {
  value: number;
  label: string;
  state?: number;
}

export type ChoiceKind = 'choice' | 'multichoice' | 'state' | 'status' | 'boolean';

/** Where a lookup may point: one entry for an ordinary lookup, several for a polymorphic one. */
export interface LookupTarget {
  table: string;
  /** The single-valued navigation property, case-sensitive: `parentcustomerid_account`. */
  navigation: string;
  /** The key of the target that the referential constraint names. */
  referenced: string;
}

export interface Column {
  name: string;
  /** `Edm.String`, `mscrm.BooleanManagedProperty`, `Collection(Edm.String)`. */
  type: string;
  /** The attribute's logical name where it differs: `parentcustomerid` for `_parentcustomerid_value`. */
  logicalName: string;
  schemaName?: string;
  maxLength?: number;
  precision?: number;
  scale?: number;
  choice?: { kind: ChoiceKind; options: ChoiceOption[] };
  targets?: LookupTarget[] | undefined;
  /** Set by the service alone: a write that carries it is refused. */
  readOnly?: boolean;
  /** Type `Edm.Binary` or `Edm.Guid` file reference, whose content is written in blocks. */
  file?: boolean;
}

export interface AlternateKey {
  name: string;
  columns: string[];
  /** How many more looks at the key find its index still being built. */
  pendingReads?: number;
  /** Set where rows that share a key kept its index from being built. */
  failed?: boolean;
}

/** The relationship behind an N:N table. */
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
  /** Absent for an abstract type without a set. */
  entitySetName?: string | undefined;
  schemaName: string;
  displayName: string;
  baseType?: string | undefined;
  abstract: boolean;
  /** The key that stands in `$metadata`, possibly on a base type. */
  key: string;
  /** `PrimaryIdAttribute`: `systemuserid` although the key is `ownerid`. */
  primaryId: string;
  primaryName?: string | undefined;
  /** All columns, inherited ones first. A row keeps its values in this order. */
  columns: Column[];
  /** How many of `columns` are inherited. */
  inherited: number;
  changeTracking: boolean;
  intersect?: Intersect | undefined;
  alternateKeys: AlternateKey[];
  isActivity: boolean;
  /** A refusal to order rows, as some tables have it. */
  refusesOrderBy?: boolean | undefined;
  /** Reads are refused with 0x80040800, as for some system tables. */
  refusesReads?: boolean | undefined;
}

export const namespace = 'Microsoft.Dynamics.CRM';

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

/** To be called after a table's columns changed. */
export function columnsChanged(table: Table): void {
  indexes.delete(table);
}

/** All tables of one organisation, by logical name and by set name. */
export class Model {
  readonly tables = new Map<string, Table>();
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

  /** The table itself and, for an abstract one, every table derived from it. */
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

/** What the types of tables are made from. Plain data, ordered. */
export interface TypedTable {
  logicalName: string;
  /** The name in the mirror. */
  name: string;
  entitySet: string;
  primaryId: string;
  displayName: string | undefined;
  description: string | undefined;
  /** How the mirror stores decimals, and the client reads them. */
  decimals: 'real' | 'text';
  columns: TypedColumn[];
  /** The single-valued navigation properties of lookups, which writes use. */
  lookups: { navigation: string; target: string }[];
}

export interface TypedColumn {
  /** The name of the property in the Web API. */
  property: string;
  /** The name in the mirror. */
  name: string;
  edmType: string;
  displayName: string | undefined;
  description: string | undefined;
  /** Choices with their labels; undefined for other columns. */
  choices: { value: number; label: string }[] | undefined;
  /** Logical names of the tables that a lookup can point to. */
  targets: string[];
  isKey: boolean;
  /** Whether writes accept it: not if Dataverse says that it is read only, and not for lookups. */
  isWritable: boolean;
}

/**
 * Everything about the types of columns, in one table. To add a type, add it to the union and to the table.
 * A conversion that the table does not know yet also goes into src/sqlite/json-conversion.ts, where the compiler
 * reports each place that lacks it.
 */

/** SQLite's storage classes. */
export type SqliteType = 'INTEGER' | 'REAL' | 'TEXT' | 'BLOB';

export type ColumnType = 'text' | 'guid' | 'integer' | 'real' | 'decimal' | 'boolean' | 'json' | 'base64';

export interface ColumnTypeRules {
  /** The primitive types of Dataverse (learn.microsoft.com: Web API Properties, "Primitive types"). */
  edmTypes: readonly string[];
  /** The declared type of the column in SQLite. */
  sqliteType: SqliteType;
  /** The types to which a column can change without a new read, because SQLite converts its values. */
  widensTo: readonly ColumnType[];
  /**
   * What a JSON string becomes:
   * - `text`: the string
   * - `lowercase`: the string with its ASCII letters in lower case
   * - `number`: the double that the string spells, otherwise the string
   * - `bytes`: the bytes that the string encodes in base64
   * - `json`: its JSON text, quotes included
   */
  strings: 'text' | 'lowercase' | 'number' | 'bytes' | 'json';
  /** What a JSON number becomes: an integer exact to 64 bits, the nearest double, or its JSON text. */
  numbers: 'integer' | 'double' | 'json';
  /** What `true` and `false` become: 1 and 0, or their JSON text. */
  booleans: 'integer' | 'json';
  /** Whether the values are ids: of rows, or of the content of files. */
  id?: true;
  /** Whether Dataverse has labels for the values of every column of this type. */
  labels?: true;
}

/**
 * Objects and arrays become minified JSON text in a column of any type. Decimals become doubles, because SQLite has
 * no other fractional numbers, or texts, if the configuration says so.
 */
export const columnTypes: Readonly<Record<ColumnType, ColumnTypeRules>> = {
  text: {
    edmTypes: ['Edm.String', 'Edm.Date', 'Edm.DateTimeOffset', 'Edm.TimeOfDay', 'Edm.Duration'],
    sqliteType: 'TEXT',
    widensTo: [],
    strings: 'text',
    numbers: 'json',
    booleans: 'json',
  },
  guid: {
    edmTypes: ['Edm.Guid'],
    sqliteType: 'TEXT',
    widensTo: ['text'],
    strings: 'lowercase',
    numbers: 'json',
    booleans: 'json',
    id: true,
  },
  integer: {
    edmTypes: ['Edm.Byte', 'Edm.SByte', 'Edm.Int16', 'Edm.Int32', 'Edm.Int64'],
    sqliteType: 'INTEGER',
    widensTo: ['real', 'text'],
    // Int64 comes as a string if the request asks for IEEE754Compatible. The column's affinity makes it an integer.
    strings: 'text',
    numbers: 'integer',
    booleans: 'integer',
  },
  real: {
    edmTypes: ['Edm.Single', 'Edm.Double', 'Edm.Decimal'],
    sqliteType: 'REAL',
    widensTo: ['text'],
    strings: 'number',
    numbers: 'double',
    booleans: 'integer',
  },
  /** `Edm.Decimal` with every digit. An option chooses it instead of `real`. */
  decimal: {
    edmTypes: [],
    sqliteType: 'TEXT',
    widensTo: ['text'],
    strings: 'text',
    numbers: 'json',
    booleans: 'json',
  },
  boolean: {
    edmTypes: ['Edm.Boolean'],
    sqliteType: 'INTEGER',
    widensTo: ['integer', 'real'],
    strings: 'text',
    numbers: 'integer',
    booleans: 'integer',
    labels: true,
  },
  /** Complex types and collections. */
  json: {
    edmTypes: [],
    sqliteType: 'TEXT',
    widensTo: [],
    strings: 'json',
    numbers: 'json',
    booleans: 'json',
  },
  base64: {
    edmTypes: ['Edm.Binary'],
    sqliteType: 'BLOB',
    widensTo: [],
    strings: 'bytes',
    numbers: 'json',
    booleans: 'json',
  },
};

const typesByEdmType: ReadonlyMap<string, ColumnType> = new Map(
  (Object.keys(columnTypes) as ColumnType[]).flatMap((type) =>
    columnTypes[type].edmTypes.map((edmType) => [edmType, type] as const),
  ),
);

/** The type of column for a primitive type of Dataverse; undefined if the type is not primitive. */
export function columnTypeOf(edmType: string): ColumnType | undefined {
  return typesByEdmType.get(edmType);
}

/** The fields of a column that follow from its type. */
export function ofType(type: ColumnType): { type: SqliteType; reading: ColumnType } {
  return { type: columnTypes[type].sqliteType, reading: type };
}

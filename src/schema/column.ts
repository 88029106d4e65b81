import { isCollection, type Property } from './csdl.ts';
import type { CsdlIndex } from './csdl-index.ts';
import type { Column, ColumnReading, SqliteType } from './table.ts';

/**
 * How each primitive type is read (learn.microsoft.com: Web API Properties, "Primitive types").
 * Decimal and Money become doubles, the only fractional numbers that SQLite has.
 */
const readings: Readonly<Record<string, ColumnReading>> = {
  'Edm.Guid': 'guid',
  'Edm.Boolean': 'boolean',
  'Edm.Byte': 'integer',
  'Edm.SByte': 'integer',
  'Edm.Int16': 'integer',
  'Edm.Int32': 'integer',
  'Edm.Int64': 'integer',
  'Edm.Single': 'real',
  'Edm.Double': 'real',
  'Edm.Decimal': 'real',
  'Edm.Binary': 'base64',
  'Edm.String': 'text',
  'Edm.Date': 'text',
  'Edm.DateTimeOffset': 'text',
  'Edm.TimeOfDay': 'text',
  'Edm.Duration': 'text',
};

const sqliteTypes: Readonly<Record<ColumnReading, SqliteType>> = {
  text: 'TEXT',
  guid: 'TEXT',
  json: 'TEXT',
  integer: 'INTEGER',
  boolean: 'INTEGER',
  real: 'REAL',
  base64: 'BLOB',
};

/** The column of a property. What has no place in one SQLite value is kept as JSON text. */
export function columnOf(property: Property, index: CsdlIndex): Column {
  const reading = readingOf(property.type, index);
  return {
    name: property.name,
    property: property.name,
    edmType: property.type,
    type: sqliteTypes[reading],
    reading,
  };
}

function readingOf(edmType: string, index: CsdlIndex): ColumnReading {
  if (isCollection(edmType)) return 'json';
  const underlying = index.underlyingType(edmType);
  if (Object.hasOwn(readings, underlying)) return readings[underlying]!;
  return index.isEnum(edmType) ? 'text' : 'json';
}

import type { Column, ColumnReading, SqliteType } from './table.ts';

export type TypeChange = 'same' | 'widened' | 'retyped';

/** The type of a column of which only SQLite's own declaration is known. */
export const unknownEdmType = '';

/** Readings whose values stay right, as SQLite converts them, under a wider reading. */
const wider: Readonly<Partial<Record<ColumnReading, readonly ColumnReading[]>>> = {
  integer: ['real', 'text'],
  boolean: ['integer', 'real'],
  real: ['text'],
  guid: ['text'],
};

/** The same for storage classes alone. */
const widerType: Readonly<Partial<Record<SqliteType, readonly SqliteType[]>>> = {
  INTEGER: ['REAL', 'TEXT'],
  REAL: ['TEXT'],
};

/**
 * What a column's change of type means for the values that stand there: nothing, a lossless widening, or that they
 * have to be read again.
 */
export function typeChange(from: Column, to: Column): TypeChange {
  if (from.edmType === unknownEdmType || to.edmType === unknownEdmType) {
    if (from.type === to.type) return 'same';
    return widerType[from.type]?.includes(to.type) ? 'widened' : 'retyped';
  }
  if (from.reading === to.reading) {
    // Numbers of one kind stand in SQLite alike. Dates, times and texts only share the storage class.
    return from.edmType === to.edmType || from.type !== 'TEXT' ? 'same' : 'retyped';
  }
  return wider[from.reading]?.includes(to.reading) ? 'widened' : 'retyped';
}

import type { Column, ColumnReading } from './table.ts';

export type TypeChange = 'same' | 'widened' | 'retyped';

/** Readings whose values stay right, as SQLite converts them, under a wider reading. */
const wider: Readonly<Partial<Record<ColumnReading, readonly ColumnReading[]>>> = {
  integer: ['real', 'text'],
  boolean: ['integer', 'real'],
  real: ['text'],
  guid: ['text'],
};

/**
 * What a column's change of type means for the values that stand there: nothing, a lossless widening, or that they
 * have to be read again.
 */
export function typeChange(from: Column, to: Column): TypeChange {
  if (from.reading === to.reading) {
    // Numbers of one kind stand in SQLite alike. Dates, times and texts only share the storage class.
    return from.edmType === to.edmType || from.type !== 'TEXT' ? 'same' : 'retyped';
  }
  return wider[from.reading]?.includes(to.reading) ? 'widened' : 'retyped';
}

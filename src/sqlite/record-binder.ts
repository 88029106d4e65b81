import type { ColumnTypeRules } from '../schema/column-types.ts';
import type { RecordScanner } from './record-scanner.ts';

/**
 * Puts the values that the scanner found into a statement
 * `INSERT INTO t (…) VALUES (column 1, …, column n, _version[, raw record])`. `PointerBinder` binds the bytes of the
 * page in SQLite's own memory, `ValueBinder` binds JavaScript values. Both give the same rows.
 */
export interface RecordBinder {
  /** Takes a page, until `end`. */
  begin(page: Buffer): void;
  /** Inserts the scanner's current record. Its version is the text, or the bytes `[start, end)` of the page. */
  insert(scanner: RecordScanner, version: string | undefined, start: number, end: number): void;
  /** Releases the page. */
  end(): void;
  close(): void;
}

export interface BinderOptions {
  /** The INSERT statement. */
  insert: string;
  /** The types of the columns. Column i has slot i of the scanner. */
  types: readonly ColumnTypeRules[];
  /** Whether the last parameter is the raw record. */
  rawJson: boolean;
}

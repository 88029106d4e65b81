import { quoteIdentifier as quote } from '../../../../schema/sql.ts';
import type { Table } from '../../../../schema/table.ts';
import { deletedAtColumn, hasMarks, rawJsonColumn } from '../../../common/mirror-table.ts';
import { anyDiffers } from '../any-differs.ts';
import type { LoadedColumn } from '../copy-rows.ts';

/** The condition that an incoming row differs from the existing one. */
export function changedCondition(
  table: Table,
  columns: readonly LoadedColumn[],
  existing: string,
  incoming: string,
): string {
  const { primaryKey, versionColumn } = table;
  const names = columns
    .map(({ name }) => name)
    .filter((name) => name !== primaryKey && name !== rawJsonColumn);
  // The version first: it differs whenever Dataverse wrote the row, so most comparisons end there.
  names.sort((a, b) => Number(b === versionColumn) - Number(a === versionColumn));
  const terms = [anyDiffers(existing, incoming, names)];
  // Rows from before `rawJson` was turned on lack their records.
  if (columns.some(({ name }) => name === rawJsonColumn)) {
    terms.push(`${existing}.${quote(rawJsonColumn)} IS NULL`);
  }
  if (hasMarks(table)) terms.push(`${existing}.${quote(deletedAtColumn)} IS NOT NULL`);
  return `(${terms.join(' OR ')})`;
}

/**
 * The condition that a version in a shard is lower than that of the row `t`; undefined if none can be: the table has no row
 * from before this merge, or no numbers as versions. ETags of tables without `versionnumber`, such as virtual ones, are
 * text and say nothing.
 * @param version the expression of the version
 */
export function lowerCondition(
  table: Table,
  columns: readonly LoadedColumn[],
  rowsBefore: number,
  version: string,
): string | undefined {
  const column = table.versionColumn;
  const type = columns.find(({ name }) => name === column)?.type;
  if (column === undefined || type !== 'bigint' || rowsBefore === 0) return undefined;
  return `(CASE WHEN ${version} ~ '^[0-9]+$' THEN ${version}::numeric < t.${quote(column)} ELSE false END)`;
}

import type { Column, Table } from '../../schema/table.ts';
import { deletedAtColumn } from './mirror-table.ts';

/** The columns that an export has: those of the mirror, also those that keep their last values, without the mark. */
export function exportedColumns({ columns, staleColumns = [] }: Table): Column[] {
  return [...columns, ...staleColumns].filter(({ name }) => name !== deletedAtColumn);
}

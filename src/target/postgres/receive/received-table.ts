import type { Table } from '../../../schema/table.ts';
import { exactColumn } from '../../common/mirror-table.ts';
import { storedName, withStoredColumns } from '../schema/names.ts';

export interface ReceivedTable {
  /** As PostgreSQL holds it. */
  table: Table;
  /** The names of its columns in the mirror that it comes from, those without news from Dataverse too, by the name here. */
  sources: Map<string, string>;
  /** Columns whose decimals were rounded where they come from. */
  rounded: string[];
}

/** The table of another mirror as PostgreSQL holds it: its names, exact decimals, no declared keys, one database. */
export function receivedTable(from: Table): ReceivedTable {
  const { declaredKeys: _, database: __, ...own } = from;
  const stale = own.staleColumns ?? [];
  // Names of columns that are gone are cut like the others.
  const all = withStoredColumns({ ...own, columns: [...own.columns, ...stale] });
  const sources = new Map(
    all.columns.map(({ name }, index) => [
      name,
      (own.columns[index] ?? stale[index - own.columns.length])!.name,
    ]),
  );
  const columns = all.columns.slice(0, own.columns.length);
  const gone = all.columns.slice(own.columns.length);
  const exact = columns.map(exactColumn);
  const rounded = exact
    .filter(({ reading }, index) => reading === 'decimal' && columns[index]!.reading === 'real')
    .map(({ name }) => name);
  const table: Table = { ...all, columns: exact, name: storedName(own.name), declaredKeys: [] };
  if (gone.length > 0) table.staleColumns = gone.map(exactColumn);
  else delete table.staleColumns;
  return { table, sources, rounded };
}

import type { TableReport } from '../../../sync/documents/report.ts';
import type { RunStatus } from '../../../sync/run/run-status.ts';
import { strategies } from '../../../sync/strategies/registry.ts';
import type { State } from '../../../target/state.ts';
import type { Html } from '../../pages/html.ts';
import { bytes, count } from '../../pages/page-format.ts';
import type { PageContext } from '../pages/page-context.ts';
import { type Column, dataTable } from './run-tables.ts';

/** The tables that a run is reading now, with the rows that are about to come where that is known. */
export async function liveTables(
  { runId, entities }: RunStatus,
  state: State | undefined,
  { reads }: Pick<PageContext, 'reads'>,
): Promise<Html | undefined> {
  const tables = entities.filter((table) => table.state === 'fetching');
  if (tables.length === 0) return undefined;
  const expected = await expectedRows(tables, runId, state, reads);
  const columns: Column<TableReport>[] = [
    { name: 'Table', cell: ({ name }) => name },
    { name: 'Rows so far', isNumber: true, cell: ({ rowsRead }) => count(rowsRead) },
    {
      name: 'About to come',
      isNumber: true,
      cell: ({ name, rowsRead }) => {
        const all = expected.get(name);
        // A count may be a day old.
        return all === undefined || all < rowsRead ? 'not known' : count(all - rowsRead);
      },
    },
    { name: 'Pages', isNumber: true, cell: ({ pages }) => count(pages) },
    { name: 'JSON', isNumber: true, cell: (table) => bytes(table.bytes) },
  ];
  return dataTable('Tables that are being read', columns, tables);
}

/** How many rows tables have whose rows are all read: those of the mirror, or those that Dataverse counts if they are new. */
async function expectedRows(
  tables: readonly TableReport[],
  runId: string,
  state: State | undefined,
  reads: PageContext['reads'],
): Promise<ReadonlyMap<string, number>> {
  const expected = new Map<string, number>();
  const asked: string[] = [];
  for (const { name, strategy, reread } of tables) {
    const known = Object.hasOwn(state?.entities ?? {}, name) ? state!.entities[name] : undefined;
    // Documents may be of another program.
    if (!Object.hasOwn(strategies, strategy) || !strategies[strategy].wholeTable) continue;
    if (known === undefined) asked.push(name);
    else if (strategy === 'full' || reread !== undefined) expected.set(name, known.rows);
  }
  if (asked.length > 0)
    for (const [name, rows] of await reads.rowCounts(runId, asked)) expected.set(name, rows);
  return expected;
}

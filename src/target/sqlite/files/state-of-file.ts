import type { Table } from '../../../schema/table.ts';
import type { State } from '../../state.ts';

/** Whether the tables are, or will be, in several files. */
export function isSplit({ databases }: State, synced: readonly Table[]): boolean {
  return databases !== undefined || synced.some(({ database }) => database !== undefined);
}

/**
 * The state with the tables of one file alone, without those that move to another one in this run.
 * @param synced the tables of the run, as they are to be
 * @param database of the file; undefined for the default one
 */
export function stateOfFile(state: State, synced: readonly Table[], database: string | undefined): State {
  if (!isSplit(state, synced)) return state;
  const places = new Map(synced.map((table) => [table.logicalName, table.database]));
  const entities = Object.entries(state.entities).filter(([name, { table }]) => {
    const moves = places.has(name) && places.get(name) !== table.database;
    return table.database === database && !moves;
  });
  return { ...state, entities: Object.fromEntries(entities) };
}

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

/**
 * The state with the tables that one file has at present, also those that move to another one in this run and are not read
 * there yet.
 * @param database of the file; undefined for the default one
 * @param leftovers tables that were moved, and that the file keeps for the time being
 */
export function presentState(state: State, database: string | undefined, leftovers: readonly Table[]): State {
  const isHere = (table: Table) => table.database === database;
  const entities = Object.entries(state.entities).filter(([, { table }]) => isHere(table));
  const left = leftovers.filter(isHere).flatMap((table) => {
    const known = state.entities[table.logicalName];
    return known === undefined ? [] : [[table.logicalName, { ...known, table }] as const];
  });
  return { ...state, entities: Object.fromEntries([...entities, ...left]) };
}

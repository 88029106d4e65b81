import type { TableState } from '../../state.ts';

/** As version 0.1 stored it: it called `filtered` `linked`, and named lists of ids by their digest alone. */
type StoredTableState = Omit<TableState, 'strategy'> & {
  strategy: TableState['strategy'] | 'linked';
  knownIds?: string;
};

/** Reads the state of a table as this version or an earlier one stored it, so that no row is read again for an update. */
export function currentTableState({ knownIds, strategy, ...state }: StoredTableState): TableState {
  return {
    ...state,
    strategy: strategy === 'linked' ? 'filtered' : strategy,
    storedIds: knownIds === undefined ? state.storedIds : `known-ids/${knownIds}.json`,
  };
}

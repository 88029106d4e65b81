import type { TableState } from '../state.ts';

/** As version 0.1 stored it, where `filtered` was called `linked` and lists of ids were named by their digest alone. */
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

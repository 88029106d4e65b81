import type { Table } from '../../schema/table.ts';
import { type State, tablesOf } from '../state.ts';

/**
 * The tables that foreign keys may refer to: those of the run, and those that the database keeps though the run does not
 * mirror them any more. So removing a table from entities.json, or adding it again, rebuilds no table that refers to it.
 */
export function referableTables(synced: readonly Table[], state: State): Table[] {
  const names = new Set(synced.map(({ logicalName }) => logicalName));
  return [...synced, ...tablesOf(state).filter(({ logicalName }) => !names.has(logicalName))];
}

import { columnIndex, type Table } from '../metadata/model.ts';
import { isLookup, type Value } from './values.ts';

/** Copies the owner, a user or a team, to the column of its kind. */
export function splitOwner(table: Table, values: Value[]): void {
  const position = columnIndex(table, '_ownerid_value');
  if (position < 0) return;
  const owner = values[position] ?? null;
  for (const [kind, name] of [
    ['systemuser', '_owninguser_value'],
    ['team', '_owningteam_value'],
  ] as const) {
    const at = columnIndex(table, name);
    if (at >= 0) values[at] = isLookup(owner) && owner.table === kind ? owner : null;
  }
}

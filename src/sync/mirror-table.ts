import type { EntityConfig } from '../config/entities.ts';
import type { Column, Table } from '../schema/table.ts';

/** Set where a row was deleted in Dataverse and is kept (`deletes: "mark"`): ISO 8601, UTC. */
export const deletedAtColumn = '_deleted_at';
/** The record as it was sent (`rawJson: true`). */
export const rawJsonColumn = '_json';

const ownColumn = (name: string): Column => ({ name, edmType: 'sync', type: 'TEXT', reading: 'text' });

/** The table as the mirror holds it: Dataverse's columns, and those that the entity's options add. */
export function mirrorTable(table: Table, config: EntityConfig): Table {
  const columns = [...table.columns];
  if (config.deletes === 'mark') columns.push(ownColumn(deletedAtColumn));
  if (config.rawJson) columns.push(ownColumn(rawJsonColumn));
  return columns.length === table.columns.length ? table : { ...table, columns };
}

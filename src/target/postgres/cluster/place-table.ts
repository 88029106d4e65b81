import { quoteText } from '../../../schema/sql.ts';
import type { Table } from '../../../schema/table.ts';
import { historyName } from '../../common/mirror-table.ts';
import type { Session } from '../connection/session.ts';
import { restoreComments } from '../labels/display-names.ts';
import { storedName } from '../schema/names.ts';
import { dropViewsOf } from '../schema/own-views.ts';
import { storedColumns } from '../schema/stored-columns.ts';
import { type Placement, type Placements, placementOf, readPlacements } from './placements.ts';

/** A call of a function of Citus with tables and texts. It locks the table as a change of its definition does. */
function call(session: Session, name: string, table: string, ...rest: string[]): Promise<void> {
  const parameters = [`${quoteText(session.name(table))}::regclass`, ...rest];
  return session.define(`SELECT pg_catalog.${name}(${parameters.join(', ')})`);
}

/**
 * Makes a table that is on several nodes one of this node again, with its indexes, grants and comments. Its views come again
 * with the labels, or by `refreshViews`.
 */
async function bringHome(session: Session, table: string): Promise<void> {
  if ((await placementOf(session, table)) === 'local') return;
  // Citus makes another table of it without comments, and would make its views anew without grants.
  await dropViewsOf(session, table);
  await call(session, 'undistribute_table', table);
  await restoreComments(session, table);
}

/** The same for a table and its history, before its key changes: the key says where rows are. */
export async function bringBothHome(session: Session, table: Table): Promise<void> {
  await bringHome(session, table.name);
  await bringHome(session, storedName(historyName(table)));
}

/** Copies a table to every node. */
async function makeReference(session: Session, table: string): Promise<void> {
  await call(session, 'create_reference_table', table);
}

/**
 * Deletes the rows that a table had here before they were copied to nodes. Citus reads them no more. It needs a moment
 * without readers of the table, so it is not done where the table moves.
 */
export async function dropLeftovers(session: Session, table: string): Promise<void> {
  await call(session, 'truncate_local_data_after_distributing_table', table);
}

/** The tables with rows that were copied to nodes, and are still here. */
export async function tablesWithLeftovers(session: Session): Promise<string[]> {
  const rows = await session.all<{ name: string }>(
    `SELECT c.relname AS name FROM pg_catalog.pg_dist_partition p JOIN pg_catalog.pg_class c ON c.oid = p.logicalrelid
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND pg_relation_size(c.oid) > 0`,
    [session.schema],
  );
  return rows.map(({ name }) => name);
}

/** Divides a table among the nodes by its key. @param beside a distributed table with the same key, whose rows are on the same nodes */
export async function distribute(
  session: Session,
  table: string,
  key: string,
  beside?: string,
): Promise<void> {
  const where = beside === undefined ? [] : [`colocate_with => ${quoteText(session.name(beside))}`];
  await call(session, 'create_distributed_table', table, quoteText(key), ...where);
}

/** Whether the history has the keys of the table. Those of another type would be on other nodes. */
async function hasSameKeys(session: Session, table: Table): Promise<boolean> {
  const name = storedName(historyName(table));
  const [own, ofHistory] = [await storedColumns(session, table.name), await storedColumns(session, name)];
  return ofHistory.size === 0 || own.get(table.primaryKey) === ofHistory.get(table.primaryKey);
}

/** Puts a table and its history where they belong. Rows that are there already move. @returns whether it could */
export async function placeTable(
  session: Session,
  table: Table,
  placement: Exclude<Placement, 'local'>,
): Promise<boolean> {
  if (placement === 'distributed' && !(await hasSameKeys(session, table))) return false;
  // Views of distributed tables look labels up, which have to be on their nodes.
  if ((await placementOf(session, '_choices')) === 'local') await makeReference(session, '_choices');
  if ((await placementOf(session, table.name)) !== placement) {
    await bringBothHome(session, table);
    if (placement === 'reference') await makeReference(session, table.name);
    if (placement === 'distributed') await distribute(session, table.name, table.primaryKey);
  }
  await placeHistory(session, table);
  return true;
}

/** Whether there is a history that is not where its table is. */
export async function isHistoryElsewhere(
  session: Session,
  table: Table,
  placements: Placements,
): Promise<boolean> {
  const name = storedName(historyName(table));
  if (placements.get(name) === placements.get(table.name)) return false;
  return (await storedColumns(session, name)).size > 0;
}

/** Puts a history where its table is: statements about both go to each node. */
export async function placeHistory(session: Session, table: Table): Promise<void> {
  const placements = await readPlacements(session);
  if (!(await isHistoryElsewhere(session, table, placements))) return;
  const name = storedName(historyName(table));
  const placement = placements.get(table.name) ?? 'local';
  await bringHome(session, name);
  if (placement === 'reference') await makeReference(session, name);
  if (placement === 'distributed') await distribute(session, name, table.primaryKey, table.name);
}

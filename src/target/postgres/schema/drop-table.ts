import type { Table } from '../../../schema/table.ts';
import { historyName } from '../../common/mirror-table.ts';
import { type ChangeContext, recordChange } from '../bookkeeping/table-lists.ts';
import type { Session } from '../connection/session.ts';
import { storedName } from './names.ts';
import { dropViewsOf } from './own-views.ts';
import { hasTable } from './stored-columns.ts';

/** The tables of the sync with rows about one table. */
const bookkept = [
  '_sync_foreign_keys',
  '_sync_deleted',
  '_sync_tables',
  '_sync_columns',
  '_sync_names',
  '_choices',
];

/**
 * Drops a table with everything that belongs to it, except the log, and records it in `_sync_schema_changes`.
 * @param others the tables that stay: one may be called like the history of this one
 */
export async function dropTable(
  session: Session,
  table: Table,
  others: readonly Table[],
  context: ChangeContext,
): Promise<void> {
  const { name } = table;
  const kept = new Set(others.map((other) => other.name));
  await dropViewsOf(session, name);
  for (const own of [name, storedName(historyName(table))]) {
    if (!kept.has(own) && (await hasTable(session, own)))
      await session.define(`DROP TABLE ${session.name(own)}`);
  }
  for (const own of bookkept) {
    await session.run(`DELETE FROM ${session.name(own)} WHERE table_name = $1`, [name]);
  }
  const detail = `table ${name} was dropped on request`;
  await recordChange(session, context, name, { change: 'dropped-table', detail });
}

import type { SchemaChange } from '../../../schema/migration.ts';
import { entitySetOf, type Table } from '../../../schema/table.ts';
import { historyName } from '../../common/mirror-table.ts';
import type { Session } from '../connection/session.ts';
import { storableJson } from '../connection/storable-text.ts';
import { storedName } from '../schema/names.ts';

export interface ChangeContext {
  runId: string;
  /** The instant of the merge: ISO 8601, UTC. */
  at: string;
}

/** Records a change of the schema. */
export async function recordChange(
  session: Session,
  { runId, at }: ChangeContext,
  table: string,
  { column, change, detail }: Pick<SchemaChange, 'column' | 'detail'> & { change: string },
): Promise<void> {
  await session.run(
    `INSERT INTO ${session.name('_sync_schema_changes')} (at, run_id, table_name, column_name, change, detail)
     VALUES ($1, $2, $3, $4, $5, $6)`,
    [at, runId, table, column ?? null, change, detail],
  );
}

/** Every foreign key between mirrored tables, one row per possible target. The database enforces none of them. */
export async function writeForeignKeys(session: Session, tables: readonly Table[]): Promise<void> {
  const names = new Map(tables.map((table) => [table.logicalName, table.name]));
  const rows = tables.flatMap((table) =>
    table.foreignKeys.flatMap(({ column, targets, typeColumn, source }) =>
      targets.map((target) => ({
        table_name: table.name,
        column_name: column,
        target_table: names.get(target) ?? target,
        type_column: typeColumn,
        source,
      })),
    ),
  );
  await replaceRows(session, '_sync_foreign_keys', ['table_name', 'column_name', 'target_table'], rows);
}

/** The names that are stored under another one, because they are too long or reserved in PostgreSQL. */
export async function writeNames(session: Session, tables: readonly Table[]): Promise<void> {
  const rows = tables.flatMap((table) => {
    const history = historyName(table);
    const ofTable = { table_name: table.name, stored_name: table.name, name: entitySetOf(table) };
    const ofHistory = { table_name: table.name, stored_name: storedName(history), name: history };
    const ofColumns = table.columns.flatMap(({ name, property }) =>
      property === undefined || property.includes('@')
        ? []
        : { table_name: table.name, stored_name: name, name: property },
    );
    return [ofTable, ofHistory, ...ofColumns].filter((one) => one.stored_name !== one.name);
  });
  await replaceRows(session, '_sync_names', ['table_name', 'stored_name'], rows);
}

/** Makes these the rows of a list. Writes only what differs. */
async function replaceRows(
  session: Session,
  table: string,
  key: readonly string[],
  rows: readonly Record<string, string | undefined>[],
): Promise<void> {
  const name = session.name(table);
  const records = storableJson(rows);
  const incoming = `json_populate_recordset(NULL::${name}, $1::json)`;
  const same = key.map((one) => `i.${one} = t.${one}`).join(' AND ');
  await session.run(
    `DELETE FROM ${name} t WHERE NOT EXISTS (SELECT 1 FROM ${incoming} i WHERE ${same} AND i IS NOT DISTINCT FROM t)`,
    [records],
  );
  await session.run(`INSERT INTO ${name} SELECT * FROM ${incoming} i ON CONFLICT DO NOTHING`, [records]);
}

import { quoteIdentifier as quote, quoteText } from '../../../schema/sql.ts';
import type { Table } from '../../../schema/table.ts';
import type { TableNames } from '../../mirror-target.ts';
import type { Session } from '../connection/session.ts';
import { storableText } from '../connection/storable-text.ts';

type Texts = Pick<TableNames, 'displayName' | 'description'>;

/**
 * Updates the display names and descriptions of tables and columns: in the lists of the sync, and as the comments that
 * tools show. Writes only what differs. Tables that are not among the names keep theirs.
 */
export async function writeDisplayNames(
  session: Session,
  tables: readonly Table[],
  names: readonly TableNames[],
): Promise<void> {
  const byName = new Map(tables.map((table) => [table.logicalName, table]));
  for (const one of names) {
    const table = byName.get(one.table);
    if (table !== undefined) await writeNamesOf(session, table, one);
  }
  const present = [tables.map(({ name }) => name)];
  for (const list of ['_sync_tables', '_sync_columns']) {
    await session.run(`DELETE FROM ${session.name(list)} WHERE NOT (table_name = ANY ($1::text[]))`, present);
  }
}

async function writeNamesOf(session: Session, table: Table, names: TableNames): Promise<void> {
  const { name } = table;
  const stored = new Map<string, string>();
  const found = await session.all(
    `SELECT '' AS column_name, display_name, description FROM ${session.name('_sync_tables')} WHERE table_name = $1
     UNION ALL SELECT column_name, display_name, description FROM ${session.name('_sync_columns')} WHERE table_name = $1`,
    [name],
  );
  for (const row of found) stored.set(row['column_name']!, keyOf(row['display_name'], row['description']));
  const columns = new Map(table.columns.map((column) => [column.property, column.name]));
  const wanted = new Map<string, Texts>([['', names]]);
  for (const { column, ...texts } of names.columns) {
    const own = columns.get(column);
    if (own !== undefined && !wanted.has(own)) wanted.set(own, texts);
  }
  for (const [column, { displayName, description }] of wanted) {
    const texts = [displayName, description].map((text) => (text === undefined ? null : storableText(text)));
    if (stored.get(column) === keyOf(texts[0], texts[1])) continue;
    if (column === '') {
      await session.run(
        `INSERT INTO ${session.name('_sync_tables')} VALUES ($1, $2, $3) ON CONFLICT (table_name)
         DO UPDATE SET display_name = excluded.display_name, description = excluded.description`,
        [name, ...texts] as string[],
      );
    } else {
      await session.run(
        `INSERT INTO ${session.name('_sync_columns')} VALUES ($1, $2, $3, $4) ON CONFLICT (table_name, column_name)
         DO UPDATE SET display_name = excluded.display_name, description = excluded.description`,
        [name, column, ...texts] as string[],
      );
    }
    const what =
      column === '' ? `TABLE ${session.name(name)}` : `COLUMN ${session.name(name)}.${quote(column)}`;
    const comment = texts.filter((text) => text !== null && text !== '').join('. ');
    await session.run(`COMMENT ON ${what} IS ${comment === '' ? 'NULL' : literal(comment)}`);
  }
  const gone = [...stored.keys()].filter((column) => column !== '' && !wanted.has(column));
  await session.run(
    `DELETE FROM ${session.name('_sync_columns')} WHERE table_name = $1 AND column_name = ANY ($2::text[])`,
    [name, gone],
  );
}

const keyOf = (displayName: string | null | undefined, description: string | null | undefined): string =>
  JSON.stringify([displayName ?? null, description ?? null]);

/** A statement without parameters has literals. A backslash is one whatever the server's settings are. */
function literal(text: string): string {
  return text.includes('\\') ? ` E${quoteText(text.replaceAll('\\', '\\\\'))}` : quoteText(text);
}

import type { Mirror } from './mirror.ts';

/** A table of a mirror, for people and programs that have not seen it. */
export interface MirrorTable {
  /** The name in SQL. */
  name: string;
  /** Dataverse's logical name. */
  logicalName: string;
  /** How people call it, and what it is for, in the base language of the organisation. */
  displayName: string | undefined;
  description: string | undefined;
  rows: number;
  primaryKey: string;
  /** The column whose value names a row, if there is one. */
  primaryName: string | undefined;
  /** When a sync read it last: ISO 8601, UTC. */
  syncedAt: string;
  /** The view with a label beside each choice, and the name of the row beside each lookup. */
  labelledView: string | undefined;
}

export interface MirrorColumn {
  name: string;
  /** As of a table. */
  displayName: string | undefined;
  description: string | undefined;
  /** Dataverse's type, such as `Edm.DateTimeOffset`. */
  edmType: string;
  /** The type in SQLite. */
  type: string;
  /** The tables of the mirror that its ids refer to. */
  references: string[];
  /** The values of a choice with their labels in the base language: the first hundred. */
  choices: { value: number; label: string }[];
}

const maxChoices = 100;

interface StateRow {
  entity: string;
  table_name: string;
  rows: number;
  synced_at: string;
  state: string;
}

interface StoredTable {
  table?: {
    primaryKey?: string;
    primaryName?: string;
    columns?: { name: string; edmType: string; type: string }[];
  };
}

interface NameRow {
  display_name: string | null;
  description: string | null;
}

/** Mirrors of earlier versions have no names until their next sync. */
async function hasNames(mirror: Mirror): Promise<boolean> {
  const found = await mirror.query(
    "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = '_sync_columns'",
  );
  return found.length > 0;
}

function textsOf(row: NameRow | undefined): Pick<MirrorTable, 'displayName' | 'description'> {
  return { displayName: row?.display_name ?? undefined, description: row?.description ?? undefined };
}

/** The tables that a sync has put into the mirror, by name. */
export async function describeTables(mirror: Mirror): Promise<MirrorTable[]> {
  const names = (await hasNames(mirror))
    ? { columns: 'n.display_name, n.description', join: 'LEFT JOIN _sync_tables n USING (table_name)' }
    : { columns: 'NULL AS display_name, NULL AS description', join: '' };
  const rows = await mirror.query<StateRow & NameRow & { view: string | null }>(`
    SELECT s.entity, s.table_name, s.rows, s.synced_at, s.state, v.name AS view, ${names.columns}
    FROM _sync_state s ${names.join}
    JOIN sqlite_schema t ON t.type = 'table' AND t.name = s.table_name
    LEFT JOIN sqlite_schema v ON v.type = 'view' AND v.name = s.table_name || '_labelled'
    ORDER BY s.table_name`);
  return rows.map((row) => {
    const { entity, table_name: name, rows: count, synced_at: syncedAt, state, view } = row;
    const { table = {} } = JSON.parse(state) as StoredTable;
    return {
      ...{ name, logicalName: entity, ...textsOf(row), rows: count, syncedAt },
      ...{
        primaryKey: table.primaryKey ?? '',
        primaryName: table.primaryName,
        labelledView: view ?? undefined,
      },
    };
  });
}

/** The columns of a table; undefined if the mirror has no such table. @param name in SQL, or Dataverse's logical name */
export async function describeColumns(
  mirror: Mirror,
  name: string,
): Promise<{ table: string; columns: MirrorColumn[] } | undefined> {
  const [found] = await mirror.query<{ table_name: string; state: string }>(
    'SELECT table_name, state FROM _sync_state WHERE table_name = ? OR entity = ?',
    [name, name],
  );
  if (found === undefined) return undefined;
  const { table_name: table, state } = found;
  const references = await mirror.query<{ column_name: string; target_table: string }>(
    'SELECT column_name, target_table FROM _sync_foreign_keys WHERE table_name = ? ORDER BY 1, 2',
    [table],
  );
  const choices = await mirror.query<{ column_name: string; value: number; label: string; language: number }>(
    `SELECT column_name, value, label, language FROM _choices WHERE table_name = ?
     ORDER BY column_name, value, language = (SELECT json_extract(value, '$.language') FROM _sync_meta WHERE name = 'choices') DESC`,
    [table],
  );
  const names = (await hasNames(mirror))
    ? await mirror.query<NameRow & { column_name: string }>(
        'SELECT column_name, display_name, description FROM _sync_columns WHERE table_name = ?',
        [table],
      )
    : [];
  const namesOf = new Map(names.map((row) => [row.column_name, row]));
  const { table: stored = {} } = JSON.parse(state) as StoredTable;
  const columns = (stored.columns ?? []).map(({ name: column, edmType, type }) => ({
    ...{ name: column, ...textsOf(namesOf.get(column)), edmType, type },
    references: references.filter((one) => one.column_name === column).map((one) => one.target_table),
    choices: labelsOf(choices.filter((one) => one.column_name === column)).slice(0, maxChoices),
  }));
  return { table, columns };
}

/** The first label of each value. */
function labelsOf(rows: readonly { value: number; label: string }[]): { value: number; label: string }[] {
  const labels = new Map<number, string>();
  for (const { value, label } of rows) if (!labels.has(value)) labels.set(value, label);
  return [...labels].map(([value, label]) => ({ value, label }));
}

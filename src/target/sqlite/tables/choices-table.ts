import { createHash } from 'node:crypto';
import { quoteIdentifier as quote } from '../../../schema/sql.ts';
import type { Table } from '../../../schema/table.ts';
import type { SqliteDatabase } from '../../../sqlite/sqlite-database.ts';
import type { Labels } from '../../mirror-target.ts';
import { choicesMeta, readMeta, writeMeta } from './bookkeeping.ts';
import { choiceValuesViewSql, labelledViewSql } from './labelled-view.ts';
import { createNameTables, writeNames } from './names-table.ts';

interface ChoicesMeta {
  digest: string;
  /** Digest of what of the labels is in this database. Absent from earlier versions. */
  own?: string;
  /** The tables whose labels were written, by name. */
  tables: string;
  language?: number;
  /** Columns without labels, `account.industrycode`, and those of them that were reported. */
  unlabelled?: string[];
  reported?: string[];
}

// The columns of the key come first, in the order in which SQLite stores a table without rowid: the integrity check of
// SQLite up to 3.40, which many systems still have, reports missing values for any other order.
const createChoices = `CREATE TABLE IF NOT EXISTS _choices (
  table_name TEXT NOT NULL,
  column_name TEXT NOT NULL,
  value INTEGER NOT NULL,
  language INTEGER NOT NULL,
  label TEXT NOT NULL,
  PRIMARY KEY (table_name, column_name, value, language)
) WITHOUT ROWID`;

function readChoicesMeta(db: SqliteDatabase): ChoicesMeta | undefined {
  const text = readMeta(db, choicesMeta);
  return text === undefined ? undefined : (JSON.parse(text) as ChoicesMeta);
}

/**
 * Updates `_choices`, the names of tables and columns, and the views for the tables of the database. Writes only what differs, so that unchanged labels
 * touch no block of the file.
 * @param tables every table in the database
 * @param read loads the labels; called only if the database has others
 * @returns whether anything was written that is worth a commit: the digest alone, if labels of other databases changed, is not
 */
export async function writeChoices(
  db: SqliteDatabase,
  tables: readonly Table[],
  digest: string | undefined,
  read: (digest: string) => Promise<Labels | undefined>,
): Promise<boolean> {
  const before = readChoicesMeta(db);
  const names = tables.map(({ name }) => name).sort();
  const stale = digest !== undefined && (before?.digest !== digest || before.tables !== names.join());
  const stored = stale ? await read(digest) : undefined;
  return db.transaction(() => {
    const areNamesNew = createNameTables(db);
    const isNew = !db.hasTable('_choices') || areNamesNew;
    const own = stored && ownDigest(tables, stored);
    const areOther = own !== undefined && (isNew || own !== before?.own);
    db.exec(createChoices);
    if (digest !== undefined && stored !== undefined) {
      if (areOther) {
        writeRows(db, tables, stored);
        writeNames(db, tables, stored.names ?? []);
      }
      const unlabelled = stored.unlabelled?.map(({ table, column }) => `${table}.${column}`) ?? [];
      const reported = before?.reported?.filter((column) => unlabelled.includes(column)) ?? [];
      const meta: ChoicesMeta = {
        ...(own !== undefined && { own }),
        digest,
        tables: names.join(),
        language: stored.language,
        ...(unlabelled.length > 0 && { unlabelled, reported }),
      };
      writeMeta(db, choicesMeta, JSON.stringify(meta));
    }
    const haveViewsChanged = writeViews(db, tables, readChoicesMeta(db)?.language);
    return isNew || areOther || haveViewsChanged;
  });
}

/** Of the labels of these tables. */
function ownDigest(
  tables: readonly Table[],
  { language, choices, names = [], unlabelled = [] }: Labels,
): string {
  const here = new Set(tables.map(({ logicalName }) => logicalName));
  const own = [choices, names, unlabelled].map((list) => list.filter(({ table }) => here.has(table)));
  const places = tables.map(({ name, columns }) => [name, ...columns.map((column) => column.name)].join());
  const text = JSON.stringify([language, ...own, places.sort()]);
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}

/**
 * Choice columns that have values and no labels, each once, and records them in `_sync_schema_changes`.
 * @param at ISO 8601, UTC
 */
export function findUnlabelled(
  db: SqliteDatabase,
  tables: readonly Table[],
  { runId, at }: { runId: string; at: string },
): { logicalName: string; table: string; column: string }[] {
  const meta = readChoicesMeta(db);
  const { unlabelled = [], reported = [] } = meta ?? {};
  const waiting = new Set(unlabelled.filter((column) => !reported.includes(column)));
  if (meta === undefined || waiting.size === 0) return [];
  const found = tables.flatMap(({ logicalName, name: table, columns }) =>
    columns
      .filter(({ property }) => waiting.has(`${logicalName}.${property}`))
      .filter(({ name }) => hasValues(db, table, name))
      .map(({ name, property }) => ({ logicalName, table, column: name, id: `${logicalName}.${property}` })),
  );
  if (found.length === 0) return [];
  for (const { table, column } of found) {
    db.run(
      `INSERT INTO _sync_schema_changes (at, run_id, table_name, column_name, change, detail)
       VALUES (?, ?, ?, ?, 'no-labels', ?)`,
      [at, runId, table, column, `Dataverse has no labels for the values of ${table}.${column}`],
    );
  }
  writeMeta(
    db,
    choicesMeta,
    JSON.stringify({ ...meta, reported: [...reported, ...found.map(({ id }) => id)] }),
  );
  return found.map(({ logicalName, table, column }) => ({ logicalName, table, column }));
}

function hasValues(db: SqliteDatabase, table: string, column: string): boolean {
  const sql = `SELECT 1 FROM main.${quote(table)} WHERE ${quote(column)} IS NOT NULL LIMIT 1`;
  return db.get(sql) !== undefined;
}

function writeRows(db: SqliteDatabase, tables: readonly Table[], stored: Labels): void {
  const columns = new Map(
    tables.flatMap((table) =>
      table.columns.map((column) => [`${table.logicalName}.${column.property}`, { table, column }] as const),
    ),
  );
  db.exec(`DROP TABLE IF EXISTS temp.choices; CREATE TEMP TABLE choices
    (table_name, column_name, value, label, language, PRIMARY KEY (table_name, column_name, value, language)) WITHOUT ROWID`);
  for (const { table, column, value, label, language } of stored.choices) {
    const found = columns.get(`${table}.${column}`);
    if (found === undefined) continue;
    db.run('INSERT OR IGNORE INTO temp.choices VALUES (?, ?, ?, ?, ?)', [
      found.table.name,
      found.column.name,
      value,
      label,
      language,
    ]);
  }
  db.run(`DELETE FROM main._choices WHERE (table_name, column_name, value, language)
    NOT IN (SELECT table_name, column_name, value, language FROM temp.choices)`);
  db.run(`INSERT INTO main._choices (table_name, column_name, value, label, language)
    SELECT table_name, column_name, value, label, language FROM temp.choices WHERE true
    ON CONFLICT DO UPDATE SET label = excluded.label WHERE label <> excluded.label`);
  db.exec('DROP TABLE temp.choices');
}

/**
 * Creates the views again whose SQL differs: tables, columns and labels may have changed.
 * @returns whether any did
 */
function writeViews(db: SqliteDatabase, tables: readonly Table[], language: number | undefined): boolean {
  let changes = 0;
  const existing = new Map(
    db
      .all<{ name: string; sql: string }>(
        `SELECT name, sql FROM main.sqlite_master WHERE type = 'view'
         AND (name LIKE '%~_labelled' ESCAPE '~' OR name LIKE '%~_choice~_values' ESCAPE '~')`,
      )
      .map(({ name, sql }) => [name, sql]),
  );
  const taken = new Set(tables.map(({ name }) => name.toLowerCase()));
  for (const table of tables) {
    const options = { choices: choiceColumns(db, table), synced: tables, language };
    const views = [
      { name: `${table.name}_labelled`, sql: labelledViewSql(table, options)[1] },
      { name: `${table.name}_choice_values`, sql: choiceValuesViewSql(table, options)[1] },
    ];
    for (const { name, sql } of views) {
      if (sql === undefined || taken.has(name.toLowerCase())) continue;
      const same = existing.get(name) === sql;
      existing.delete(name);
      if (same) continue;
      changes += 1;
      db.exec(`DROP VIEW IF EXISTS ${quote(name)}`);
      db.exec(sql);
    }
  }
  for (const name of existing.keys()) db.exec(`DROP VIEW ${quote(name)}`);
  return changes + existing.size > 0;
}

/** The columns with labels. A text column among them has codes separated by commas: a multi-select choice. */
function choiceColumns(db: SqliteDatabase, table: Table): { column: string; multiple: boolean }[] {
  const types = new Map(table.columns.map(({ name, type }) => [name, type]));
  return db
    .all<{ name: string }>('SELECT DISTINCT column_name AS name FROM main._choices WHERE table_name = ?', [
      table.name,
    ])
    .map(({ name }) => ({ column: name, multiple: types.get(name) === 'TEXT' }));
}

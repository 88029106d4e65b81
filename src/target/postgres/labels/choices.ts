import { createHash } from 'node:crypto';
import { RetriableError } from '../../../errors.ts';
import { quoteIdentifier as quote } from '../../../schema/sql.ts';
import type { Table } from '../../../schema/table.ts';
import type { Labels } from '../../mirror-target.ts';
import { metaNames, readMeta, writeMeta } from '../bookkeeping/bookkeeping-tables.ts';
import { type ChangeContext, recordChange } from '../bookkeeping/table-lists.ts';
import { readPlacements } from '../cluster/placements.ts';
import type { Session } from '../connection/session.ts';
import { storableJson } from '../connection/storable-text.ts';
import { type Grant, grantsOf } from '../schema/own-views.ts';
import { writeDisplayNames } from './display-names.ts';
import { type ChoiceColumn, viewsOf } from './views.ts';

/** What `_choices` contains. */
interface ChoicesMeta {
  digest: string;
  /** Digest of the labels of the tables in this mirror. */
  own: string;
  language?: number | undefined;
  /** Columns without labels, `account.industrycode`, and those of them that were reported. */
  unlabelled: string[];
  reported: string[];
  /** The tables whose labels were written, by name. */
  tables: string;
}

async function readChoicesMeta(session: Session): Promise<ChoicesMeta | undefined> {
  const text = await readMeta(session, metaNames.choices);
  return text === undefined ? undefined : (JSON.parse(text) as ChoicesMeta);
}

/**
 * Updates `_choices`, the names of tables and columns, and the views. Writes only what differs.
 * @param tables every table of the mirror
 * @param read loads the labels; called only if the mirror has others
 * @returns whether anything changed
 */
export async function writeLabels(
  session: Session,
  tables: readonly Table[],
  digest: string | undefined,
  read: (digest: string) => Promise<Labels | undefined>,
): Promise<boolean> {
  const before = await readChoicesMeta(session);
  const names = tables
    .map(({ name }) => name)
    .sort()
    .join();
  const isStale = digest !== undefined && (before?.digest !== digest || before.tables !== names);
  const labels = isStale ? await read(digest) : undefined;
  let isChanged = false;
  if (digest !== undefined && labels !== undefined) {
    const own = ownDigest(tables, labels);
    isChanged = own !== before?.own;
    if (isChanged) {
      await writeRows(session, tables, labels);
      await writeDisplayNames(session, tables, labels.names ?? []);
    }
    const unlabelled = labels.unlabelled?.map(({ table, column }) => `${table}.${column}`) ?? [];
    const reported = before?.reported.filter((column) => unlabelled.includes(column)) ?? [];
    const meta: ChoicesMeta = { digest, own, language: labels.language, unlabelled, reported, tables: names };
    await writeMeta(session, metaNames.choices, JSON.stringify(meta));
  }
  const language = (await readChoicesMeta(session))?.language;
  const haveViewsChanged = await writeViews(session, tables, language);
  return isChanged || haveViewsChanged;
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

async function writeRows(session: Session, tables: readonly Table[], { choices }: Labels): Promise<void> {
  const columns = new Map(
    tables.flatMap((table) =>
      table.columns.map((column) => [`${table.logicalName}.${column.property}`, { table, column }] as const),
    ),
  );
  const rows = choices.flatMap(({ table, column, value, label, language }) => {
    const found = columns.get(`${table}.${column}`);
    // No column of PostgreSQL that is a choice has such a value.
    if (found === undefined || !isInteger32(value) || !isInteger32(language)) return [];
    return { table_name: found.table.name, column_name: found.column.name, value, language, label };
  });
  const name = session.name('_choices');
  const records = storableJson(rows);
  const key = ['table_name', 'column_name', 'value', 'language'];
  const incoming = `(SELECT DISTINCT ON (${key.join(', ')}) * FROM json_populate_recordset(NULL::${name}, $1::json)) i`;
  const same = key.map((one) => `i.${one} = c.${one}`).join(' AND ');
  await session.run(`DELETE FROM ${name} c WHERE NOT EXISTS (SELECT 1 FROM ${incoming} WHERE ${same})`, [
    records,
  ]);
  await session.run(
    `INSERT INTO ${name} AS c SELECT i.* FROM ${incoming} ON CONFLICT (${key.join(', ')})
     DO UPDATE SET label = excluded.label WHERE c.label <> excluded.label`,
    [records],
  );
}

const isInteger32 = (value: number): boolean => value === (value | 0);

/**
 * Creates the views again whose SQL differs: tables, columns and labels may have changed. A view that somebody else's view
 * uses stays as it was.
 * @returns whether any did
 */
async function writeViews(
  session: Session,
  tables: readonly Table[],
  language: number | undefined,
): Promise<boolean> {
  const list = session.name('_sync_views');
  const stored = await session.all<{ name: string; sql: string; grants: string | null }>(
    `SELECT name, grants, CASE WHEN to_regclass($1 || quote_ident(name)) IS NULL THEN '' ELSE sql END AS sql FROM ${list}`,
    [`${session.schemaName}.`],
  );
  const existing = new Map(stored.map(({ name, ...one }) => [name, one]));
  const taken = new Set(tables.map(({ name }) => name));
  let isChanged = false;
  const views = new Map<string, string>();
  const placements = await readPlacements(session);
  // In the same order, whatever the one of the state is: another text of a view would be another view.
  const synced = tables.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  // Readers that hold a view make it late. They are waited for once: a reader can hold all of them.
  const attempt = async (work: () => Promise<void>): Promise<boolean> => {
    const refusal = await session.refusal(work);
    if (refusal instanceof RetriableError) session.shortenWaits();
    return refusal === undefined;
  };
  for (const table of tables) {
    const options = { choices: await choiceColumns(session, table), synced, language, placements };
    for (const { name, sql } of viewsOf(session, table, options)) if (!taken.has(name)) views.set(name, sql);
  }
  for (const [name, sql] of views) {
    const before = existing.get(name);
    if (before?.sql === sql) continue;
    const isDone = await attempt(async () => {
      // Readers keep their access, also to a view that was dropped before a change of its table.
      const kept = before?.grants ? (JSON.parse(before.grants) as Grant[]) : undefined;
      const grants = kept ?? (await grantsOf(session, name));
      await session.define(`DROP VIEW IF EXISTS ${session.name(name)}`);
      await session.define(`CREATE VIEW ${session.name(name)} AS ${sql}`);
      await session.run(
        `INSERT INTO ${list} (name, sql) VALUES ($1, $2)
         ON CONFLICT (name) DO UPDATE SET sql = excluded.sql, grants = NULL`,
        [name, sql],
      );
      for (const { role, privilege } of grants) {
        await session.run(`GRANT ${privilege} ON ${session.name(name)} TO ${role}`);
      }
    });
    isChanged ||= isDone;
  }
  for (const [name, { sql }] of existing) {
    if (views.has(name)) continue;
    const isDone = await attempt(async () => {
      // A table may have the name of a view that is gone.
      if (sql !== '') await session.define(`DROP VIEW IF EXISTS ${session.name(name)}`);
      await session.run(`DELETE FROM ${list} WHERE name = $1`, [name]);
    });
    isChanged ||= isDone;
  }
  return isChanged;
}

/** Creates the views again whose tables are elsewhere now. */
export async function refreshViews(session: Session, tables: readonly Table[]): Promise<void> {
  await writeViews(session, tables, (await readChoicesMeta(session))?.language);
}

/** The columns with labels. A text column among them has codes separated by commas: a multi-select choice. */
async function choiceColumns(session: Session, table: Table): Promise<ChoiceColumn[]> {
  const readings = new Map(table.columns.map(({ name, reading }) => [name, reading]));
  const found = await session.all<{ name: string }>(
    `SELECT DISTINCT column_name COLLATE "C" AS name FROM ${session.name('_choices')} WHERE table_name = $1 ORDER BY 1`,
    [table.name],
  );
  return found.flatMap(({ name }) => {
    const reading = readings.get(name);
    // Labels of a column that is no longer a choice.
    if (reading === undefined || !['text', 'integer', 'boolean'].includes(reading)) return [];
    return { column: name, multiple: reading === 'text' };
  });
}

/** Choice columns that have values and no labels, each once, and records them in `_sync_schema_changes`. */
export async function findUnlabelled(
  session: Session,
  tables: readonly Table[],
  context: ChangeContext,
): Promise<{ logicalName: string; table: string; column: string }[]> {
  const meta = await readChoicesMeta(session);
  if (meta === undefined) return [];
  const waiting = new Set(meta.unlabelled.filter((column) => !meta.reported.includes(column)));
  const found: { logicalName: string; table: string; column: string; id: string }[] = [];
  for (const { logicalName, name: table, columns } of tables) {
    for (const { name: column, property } of columns) {
      const id = `${logicalName}.${property}`;
      if (!waiting.has(id)) continue;
      const sql = `SELECT 1 AS one FROM ${session.name(table)} WHERE ${quote(column)} IS NOT NULL LIMIT 1`;
      if ((await session.get(sql)) !== undefined) found.push({ logicalName, table, column, id });
    }
  }
  if (found.length === 0) return [];
  for (const { table, column } of found) {
    const detail = `Dataverse has no labels for the values of ${table}.${column}`;
    await recordChange(session, context, table, { column, change: 'no-labels', detail });
  }
  const reported = [...meta.reported, ...found.map(({ id }) => id)];
  await writeMeta(session, metaNames.choices, JSON.stringify({ ...meta, reported }));
  return found.map(({ logicalName, table, column }) => ({ logicalName, table, column }));
}

import type { DatabaseSync } from 'node:sqlite';
import { isDeepStrictEqual } from 'node:util';
import type { TableConfig } from '../../src/config/entities.ts';
import type { SampleDataverse } from '../../src/local/sample-dataverse/index.ts';
import { isLookup } from '../../src/local/sample-dataverse/rows/values.ts';
import type { Harness } from './harness.ts';
import { differences, readTruth, type TruthRow, withDatabase } from './truth.ts';

interface Snapshot {
  at: string;
  /** The name of the database; undefined for the default one. */
  database: string | undefined;
  /** Of the tables with history: the rows by id. */
  tables: Map<string, { key: string; rows: Map<string, TruthRow> }>;
}

interface Reference {
  table: string;
  id: string;
}

/** The rows of a table at the last comparison, for tables that vanish. */
interface Held {
  entitySet: string;
  primaryKey: string;
  rows: TruthRow[];
  /** By the id of the row that has them. */
  references: Map<string, Reference[]>;
}

/** Compares a mirror with the truth after each sync. */
export class MirrorCheck {
  readonly #harness: Harness;
  readonly #dataverse: SampleDataverse;
  readonly #snapshots: Snapshot[] = [];
  readonly #held = new Map<string, Held>();
  /** All ids that a table had at any comparison. */
  readonly #ever = new Map<string, Set<string>>();
  /** The database that had the table at the last comparison. */
  readonly #databases = new Map<string, string | undefined>();

  constructor(harness: Harness, dataverse: SampleDataverse) {
    this.#harness = harness;
    this.#dataverse = dataverse;
  }

  /** Whether the table was compared before. */
  hasSeen(name: string): boolean {
    return this.#ever.has(name);
  }

  /** Forgets which rows the tables of a database had: an earlier state of it is put back, without later tombstones. */
  forget(database: string | undefined): void {
    for (const [name, place] of this.#databases) if (place === database) this.#ever.delete(name);
  }

  /**
   * @param covered the tables of a narrow run: the others must be as they were at the last comparison
   * @throws an error with all differences
   */
  async now(configs: readonly TableConfig[], at: string, covered?: ReadonlySet<string>): Promise<void> {
    for (const { name } of configs) if (covered?.has(name) !== false) await this.#read(name);
    const needed = this.#closure(configs);
    const neededNow =
      covered && this.#closure(configs.filter(({ name, filtered }) => filtered || covered.has(name)));
    const { entities = {} } = (await this.#harness.services.mirror.lastState()) ?? {};
    // A table that vanished stays where it is.
    const placeOf = ({ name, database }: TableConfig) =>
      this.#dataverse.store.model.tables.has(name) ? database : entities[name]?.table.database;
    for (const [database, own] of Map.groupBy(configs, placeOf)) {
      // A narrow run makes the databases of its tables alone.
      const [etag] = covered === undefined ? ['any'] : await this.#harness.etags(database);
      if (etag === undefined) continue;
      const bytes = await this.#harness.databaseBytes(database);
      const found = withDatabase(bytes, (db) => {
        const integrity = db.prepare('PRAGMA integrity_check').get() as { integrity_check: string };
        const wrong = integrity.integrity_check === 'ok' ? [] : [integrity.integrity_check];
        // Tables outside of a narrow run get the foreign keys to a new table with their next merge.
        if (covered === undefined) wrong.push(...wrongDeclarations(db));
        wrong.push(...emptyVersions(db));
        const others = configs.filter((config) => placeOf(config) !== database && this.hasSeen(config.name));
        for (const { name } of others) {
          const { entitySet } = this.#held.get(name)!;
          // What a table leaves behind in another database goes once the closure is settled: by a run of all tables.
          if (covered === undefined && hasTable(db, entitySet))
            wrong.push(`${entitySet} is also in ${database ?? 'the default'}`);
        }
        for (const config of own) {
          // Tombstones stay behind when a table moves.
          if (this.#databases.get(config.name) !== database) this.#ever.delete(config.name);
          this.#databases.set(config.name, database);
          wrong.push(...this.#compare(db, config, needed, neededNow));
        }
        if (wrong.length === 0) this.#remember(db, own, at, database);
        return wrong;
      });
      if (found.length > 0) throw new Error(`the mirror is wrong:\n${found.slice(0, 12).join('\n')}`);
    }
  }

  /** The history must show the state after each sync. */
  async historyOfAll(): Promise<void> {
    for (const [database, snapshots] of Map.groupBy(this.#snapshots, (one) => one.database)) {
      withDatabase(await this.#harness.databaseBytes(database), (db) => {
        for (const { at, tables } of snapshots) {
          for (const [name, { key, rows }] of tables) compareHistory(db, name, key, at, rows, this.#harness);
        }
      });
    }
  }

  async #read(name: string): Promise<void> {
    const { store, url } = this.#dataverse;
    const table = store.model.tables.get(name);
    // A table that vanished keeps its rows.
    if (table === undefined) return;
    const references = new Map<string, Reference[]>();
    for (const row of store.visibleRows(table).all()) {
      const ofRow = table.columns.flatMap((column, position): Reference[] => {
        const value = row.values[position] ?? null;
        if (isLookup(value)) return [{ table: value.table, id: value.id }];
        const end = table.intersect?.ends.find((one) => one.column === column.name);
        return end === undefined ? [] : [{ table: end.table, id: String(value) }];
      });
      references.set(row.id, ofRow);
    }
    this.#held.set(name, {
      entitySet: table.entitySetName!,
      primaryKey: table.primaryId,
      rows: await readTruth(url, table.entitySetName!),
      references,
    });
  }

  /** The ids of filtered tables to which a chain of references leads from a table mirrored as a whole. */
  #closure(configs: readonly TableConfig[]): Set<string> {
    const filtered = new Set(configs.filter((config) => config.filtered).map((config) => config.name));
    const needed = new Set<string>();
    const waiting = configs
      .filter((config) => !config.filtered)
      .flatMap((config) => [...(this.#held.get(config.name)?.references.values() ?? [])].flat());
    for (let one = waiting.pop(); one !== undefined; one = waiting.pop()) {
      const key = `${one.table} ${one.id}`;
      if (!filtered.has(one.table) || needed.has(key)) continue;
      needed.add(key);
      waiting.push(...this.#referencesOf(one));
    }
    return needed;
  }

  #referencesOf({ table, id }: Reference): Reference[] {
    return this.#held.get(table)?.references.get(id) ?? [];
  }

  /** @param neededNow after a narrow run: what of `needed` its own tables need */
  #compare(db: DatabaseSync, config: TableConfig, needed: ReadonlySet<string>, neededNow = needed): string[] {
    const held = this.#held.get(config.name);
    if (held === undefined) return [];
    const { entitySet, primaryKey } = held;
    const idOf = (row: TruthRow): string => String(row[primaryKey]).toLowerCase();
    const rows = config.filtered
      ? held.rows.filter((row) => {
          const reference = `${config.name} ${idOf(row)}`;
          if (!needed.has(reference)) return false;
          // What a row outside of the run refers to may have been deleted and be there again. Dataverse emptied the
          // reference then, and the run that reads the row finds out.
          return neededNow.has(reference) || hasRow(db, held, idOf(row));
        })
      : held.rows;
    const wrong = differences(db, held, rows, { marks: config.deletes === 'mark' });
    const here = new Set(rows.map(idOf));
    const ever = this.#ever.get(config.name) ?? new Set();
    const tombstones = new Set(
      db
        .prepare('SELECT id FROM _sync_deleted WHERE table_name = ?')
        .all(entitySet)
        .map((row) => String(row.id)),
    );
    for (const id of tombstones)
      if (here.has(id)) wrong.push(`${entitySet} ${id} is there and has a tombstone`);
    if (!config.filtered) {
      for (const id of ever) {
        if (!here.has(id) && !tombstones.has(id))
          wrong.push(`${entitySet} ${id} was deleted without a tombstone`);
      }
    }
    if (config.deletes === 'mark') {
      const marked = db
        .prepare(`SELECT ${primaryKey} AS id FROM ${entitySet} WHERE _deleted_at IS NOT NULL`)
        .all();
      const ids = new Set(marked.map((row) => String(row.id)));
      const all = new Set(held.rows.map(idOf));
      for (const id of ids) if (all.has(id)) wrong.push(`${entitySet} ${id} is marked as deleted and is not`);
      for (const id of ever) {
        if (!all.has(id) && !ids.has(id) && !config.filtered) wrong.push(`${entitySet} ${id} lost its mark`);
      }
    }
    const state = db.prepare('SELECT rows FROM _sync_state WHERE entity = ?').get(config.name);
    if (state?.rows !== rows.length)
      wrong.push(`_sync_state counts ${state?.rows} of ${rows.length} ${entitySet}`);
    for (const id of here) ever.add(id);
    this.#ever.set(config.name, ever);
    return wrong;
  }

  #remember(
    db: DatabaseSync,
    configs: readonly TableConfig[],
    at: string,
    database: string | undefined,
  ): void {
    const tables: Snapshot['tables'] = new Map();
    for (const { name, history, deletes } of configs) {
      const held = this.#held.get(name);
      if (!history || held === undefined) continue;
      const live = deletes === 'mark' ? ' WHERE _deleted_at IS NULL' : '';
      const statement = db.prepare(`SELECT * FROM ${held.entitySet}${live}`);
      statement.setReadBigInts(true);
      // Only columns that Dataverse has: the mirror keeps the last values of others.
      const columns = new Set(held.rows.flatMap((row) => Object.keys(row)));
      const known = (row: TruthRow): TruthRow =>
        Object.fromEntries(Object.entries(row).filter(([name]) => columns.has(name)));
      const rows = new Map(
        (statement.all() as TruthRow[]).map((row) => [String(row[held.primaryKey]), known(row)]),
      );
      compareHistory(db, held.entitySet, held.primaryKey, at, rows, this.#harness);
      tables.set(held.entitySet, { key: held.primaryKey, rows });
    }
    if (tables.size > 0) this.#snapshots.push({ at, database, tables });
  }
}

function hasTable(db: DatabaseSync, name: string): boolean {
  return db.prepare("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?").get(name) !== undefined;
}

function hasRow(db: DatabaseSync, { entitySet, primaryKey }: Held, id: string): boolean {
  return db.prepare(`SELECT 1 FROM ${entitySet} WHERE ${primaryKey} = ?`).get(id) !== undefined;
}

/**
 * The point-in-time query of the README.
 * @param haveTexts whether values are texts where a column has had several types
 */
function compareHistory(
  db: DatabaseSync,
  entitySet: string,
  key: string,
  at: string,
  rows: ReadonlyMap<string, TruthRow>,
  { haveTexts }: { haveTexts: boolean },
): void {
  const statement = db.prepare(
    `SELECT * FROM ${entitySet}_history WHERE valid_from <= :at AND (valid_to IS NULL OR valid_to > :at)`,
  );
  statement.setReadBigInts(true);
  const versions = statement.all({ at }) as TruthRow[];
  const wrong: string[] = [];
  const seen = new Set<string>();
  for (const version of versions) {
    const id = String(version[key]);
    const row = rows.get(id);
    if (seen.has(id)) wrong.push(`${entitySet}_history has two versions of ${id} at ${at}`);
    seen.add(id);
    if (row === undefined) {
      wrong.push(`${entitySet}_history has ${id} at ${at}, which was not there`);
      continue;
    }
    for (const [column, value] of Object.entries(row)) {
      if (column === '_deleted_at') continue;
      const then = version[column];
      const same =
        value instanceof Uint8Array && then instanceof Uint8Array
          ? Buffer.compare(value, then) === 0
          : Object.is(value, then) || (typeof then === 'string' && haveTexts && isTextOf(value, then));
      if (!same)
        wrong.push(`${entitySet}_history ${id} ${column} at ${at}: ${String(then)} is not ${String(value)}`);
    }
  }
  for (const id of rows.keys()) if (!seen.has(id)) wrong.push(`${entitySet}_history lacks ${id} at ${at}`);
  if (wrong.length > 0) throw new Error(`the history is wrong:\n${wrong.slice(0, 10).join('\n')}`);
}

/** Whether it is the text that PostgreSQL makes of a value, as `exportPostgres` shows the value. */
function isTextOf(value: unknown, text: string): boolean {
  if (value instanceof Uint8Array) return text === `\\x${Buffer.from(value).toString('hex')}`;
  if (typeof value === 'bigint') return text === String(value) || text === (value === 1n ? 'true' : 'false');
  if (typeof value === 'number') return Number(text) === value;
  if (typeof value !== 'string') return false;
  if (/^\d{4}-.*\+00$/.test(text)) return Date.parse(value) === Date.parse(`${text.replace(' ', 'T')}:00`);
  return /^[[{"]/.test(text) && isDeepStrictEqual(JSON.parse(text), JSON.parse(value));
}

/** Foreign keys whose declaration in the schema differs from `_sync_foreign_keys`. */
export function wrongDeclarations(db: DatabaseSync): string[] {
  const tables = db
    .prepare('SELECT table_name AS name FROM _sync_state')
    .all()
    .map((row) => String(row.name));
  const wrong: string[] = [];
  for (const table of tables) {
    const listed = db
      .prepare(
        `SELECT column_name AS "from", target_table AS "table" FROM _sync_foreign_keys WHERE table_name = ?
         GROUP BY column_name HAVING count(*) = 1 ORDER BY 1`,
      )
      .all(table)
      .filter((row) => tables.includes(String(row.table)))
      .map((row) => `${table}.${row.from} → ${row.table}`);
    const columns = db
      .prepare('SELECT column_name AS name FROM _sync_foreign_keys WHERE table_name = ?')
      .all(table)
      .map((row) => row.name);
    const declared = db
      .prepare('SELECT "from", "table" FROM pragma_foreign_key_list(?)')
      .all(table)
      // A column that Dataverse no longer has keeps its declaration.
      .filter((row) => columns.includes(row.from!))
      .map((row) => `${table}.${row.from} → ${row.table}`);
    for (const key of listed) if (!declared.includes(key)) wrong.push(`${key} is not declared`);
    for (const key of declared) if (!listed.includes(key)) wrong.push(`${key} is declared and not listed`);
  }
  return wrong;
}

/** Versions in history tables that were valid for no time. */
export function emptyVersions(db: DatabaseSync): string[] {
  return db
    .prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE '%~_history' ESCAPE '~'")
    .all()
    .flatMap(({ name }) =>
      db
        .prepare(`SELECT valid_from AS at FROM "${name}" WHERE valid_to <= valid_from`)
        .all()
        .map(({ at }) => `${name} has a version from ${at} that was valid for no time`),
    );
}

import { DatabaseSync } from 'node:sqlite';
import type { UnversionedKind } from '../../../dataverse/metadata/unversioned.ts';
import { anyOf, quoteIdentifier as quote, quoteText } from '../../../schema/sql.ts';
import type { Column, Table } from '../../../schema/table.ts';
import { deletedAtColumn, hasMarks } from '../../../target/common/mirror-table.ts';

/** A row with other values in the mirror. */
export interface DifferentRow {
  id: string;
  columns: { column: string; mirror: unknown; dataverse: unknown }[];
}

/** A row whose state in the mirror is not that of Dataverse, as far as a page showed. */
export interface Suspect {
  id: string;
  kind: 'missing' | 'different';
  version: string | null;
  modifiedOn: string | null;
  /** The version that the mirror has; undefined for a missing row. */
  mirrorVersion?: string | null;
}

/**
 * The rows of one table of the mirror beside those of Dataverse. SQLite compares them page by page, in the file, and keeps
 * what it has seen in a temporary file: the memory is that of one page, whatever the size of the table.
 */
export class TableRows {
  readonly #db: DatabaseSync;
  readonly #path: string;
  readonly #table: Table;
  readonly #columns: readonly Column[];
  readonly #name: string;
  readonly #key: string;
  /** Of a row `t`: whether it is not marked as deleted. */
  readonly #isLive: string;

  /** @param columns those that are compared, without the key */
  constructor(path: string, table: Table, columns: readonly Column[]) {
    this.#db = new DatabaseSync(path, { readOnly: true });
    this.#path = path;
    this.#table = table;
    this.#columns = columns;
    this.#name = `main.${quote(table.name)}`;
    this.#key = quote(table.primaryKey);
    this.#isLive = hasMarks(table) ? `t.${quote(deletedAtColumn)} IS NULL` : 'true';
    this.#db.exec(`PRAGMA temp_store = FILE;
      CREATE TEMP TABLE seen (row INTEGER PRIMARY KEY);
      CREATE TEMP TABLE suspects (id TEXT PRIMARY KEY, kind TEXT NOT NULL);`);
  }

  close(): void {
    this.#db.close();
  }

  count(): number {
    return this.#number(`SELECT count(*) AS n FROM ${this.#name} t WHERE ${this.#isLive}`);
  }

  /** Compares the rows of a page with the mirror. @returns how many rows the page has */
  comparePage(file: string): number {
    return this.#withPage(file, () => {
      const insert = (kind: Suspect['kind']) =>
        `INSERT OR REPLACE INTO temp.suspects SELECT s.${this.#key}, '${kind}' FROM page.rows s`;
      this.#db.exec(`BEGIN;
        ${insert('missing')} LEFT JOIN ${this.#name} t ON t.${this.#key} = s.${this.#key}
          WHERE t.${this.#key} IS NULL OR NOT (${this.#isLive});
        ${insert('different')} JOIN ${this.#name} t ON t.${this.#key} = s.${this.#key}
          WHERE ${this.#isLive} AND ${this.#differs()};
        INSERT OR IGNORE INTO temp.seen
          SELECT t.rowid FROM page.rows s JOIN ${this.#name} t ON t.${this.#key} = s.${this.#key};
        COMMIT`);
      return this.#number('SELECT count(*) AS n FROM page.rows');
    });
  }

  /** Adds the rows that no page had. Dataverse does not have them. */
  addUnseen(): void {
    this.#db.exec(`INSERT OR IGNORE INTO temp.suspects SELECT t.${this.#key}, 'gone' FROM ${this.#name} t
      WHERE ${this.#isLive} AND t.rowid NOT IN (SELECT row FROM temp.seen)`);
  }

  suspectCount(): number {
    return this.#number('SELECT count(*) AS n FROM temp.suspects');
  }

  /** Takes the rows of a page, and the ids that it names as deleted, from the suspects. @returns how many it took */
  acquit(file: string): number {
    return this.#withPage(file, () => {
      const ids = `SELECT ${this.#key} FROM page.rows UNION SELECT id FROM page.deleted`;
      return Number(this.#db.prepare(`DELETE FROM temp.suspects WHERE id IN (${ids})`).run().changes);
    });
  }

  /** The suspects in the order of their ids, so many at a time. */
  *suspects(most: number): Generator<{ id: string; kind: Suspect['kind'] | 'gone' }[]> {
    const sql = 'SELECT id, kind FROM temp.suspects WHERE id > ? ORDER BY id LIMIT ?';
    const statement = this.#db.prepare(sql);
    for (let after = ''; ; ) {
      const batch = statement.all(after, most) as unknown as { id: string; kind: Suspect['kind'] | 'gone' }[];
      if (batch.length === 0) return;
      after = batch.at(-1)!.id;
      yield batch;
    }
  }

  /** The rows of a page that are not in the mirror as they are there, with the ids of all its rows. */
  judgePage(file: string): { ids: Set<string>; suspects: Suspect[] } {
    return this.#withPage(file, () => {
      const all = this.#db.prepare(`SELECT ${this.#key} AS id FROM page.rows`).all() as { id: string }[];
      const { modifiedOnColumn, versionColumn } = this.#table;
      const hasModifiedOn =
        modifiedOnColumn !== undefined &&
        this.#db
          .prepare("SELECT 1 FROM pragma_table_info('rows', 'page') WHERE name = ?")
          .get(modifiedOnColumn);
      const modifiedOn = hasModifiedOn ? `s.${quote(modifiedOnColumn)}` : 'NULL';
      const mirrorVersion = versionColumn === undefined ? 'NULL' : `CAST(t.${quote(versionColumn)} AS TEXT)`;
      const isMissing = `(t.${this.#key} IS NULL OR NOT (${this.#isLive}))`;
      const suspects = this.#db
        .prepare(
          `SELECT s.${this.#key} AS id, iif(${isMissing}, 'missing', 'different') AS kind, s._version AS version,
             ${modifiedOn} AS modifiedOn, ${mirrorVersion} AS mirrorVersion
           FROM page.rows s LEFT JOIN ${this.#name} t ON t.${this.#key} = s.${this.#key}
           WHERE ${isMissing} OR ${this.#differs()}`,
        )
        .all() as unknown as Suspect[];
      return { ids: new Set(all.map(({ id }) => id)), suspects };
    });
  }

  /**
   * The ids of the rows of a page that differ in columns alone whose values change without a new version of the row: in
   * secured ones only by a value that one side hides.
   * @param kindOf of a column
   */
  computedRows(file: string, kindOf: (column: Column) => UnversionedKind | undefined): Set<string> {
    return this.#withPage(file, () => {
      const differsOutside = this.#columns.flatMap((column) => {
        const [mirror, dataverse] = [`t.${quote(column.name)}`, `s.${quote(column.name)}`];
        const kind = kindOf(column);
        if (kind === 'computed') return [];
        // A comparison with NULL is NULL, which counts as no difference.
        return kind === 'secured'
          ? `coalesce(${mirror} <> ${dataverse}, false)`
          : `${mirror} IS NOT ${dataverse}`;
      });
      if (differsOutside.length === this.#columns.length && !this.#columns.some(kindOf)) return new Set();
      const rows = this.#db
        .prepare(
          `SELECT s.${this.#key} AS id FROM page.rows s JOIN ${this.#name} t ON t.${this.#key} = s.${this.#key}
           WHERE ${this.#isLive} AND ${this.#differs()} AND NOT ${anyOf(differsOutside)}`,
        )
        .all() as { id: string }[];
      return new Set(rows.map(({ id }) => id));
    });
  }

  /** The values of a row of a page that differ from those of the mirror. Integers are bigints. */
  differencesOf(file: string, id: string): DifferentRow['columns'] {
    return this.#withPage(file, () => {
      const names = this.#columns.map(({ name }) => quote(name)).join(', ');
      const read = (from: string): Record<string, unknown> => {
        const statement = this.#db.prepare(`SELECT ${names} FROM ${from} WHERE ${this.#key} = ?`);
        statement.setReadBigInts(true);
        return statement.get(id) as Record<string, unknown>;
      };
      const differing = this.#columns.filter(
        ({ name }) =>
          this.#db
            .prepare(
              `SELECT 1 FROM page.rows s JOIN ${this.#name} t ON t.${this.#key} = s.${this.#key}
               WHERE s.${this.#key} = ? AND t.${quote(name)} IS NOT s.${quote(name)}`,
            )
            .get(id) !== undefined,
      );
      const [mirror, dataverse] = [read(this.#name), read('page.rows')];
      return differing.map(({ name }) => ({
        column: name,
        mirror: mirror[name],
        dataverse: dataverse[name],
      }));
    });
  }

  /** The ids of the rows, so many at a time. */
  *ids(most: number): Generator<string[]> {
    const statement = this.#db.prepare(
      `SELECT t.rowid AS row, t.${this.#key} AS id FROM ${this.#name} t WHERE t.rowid > ? AND ${this.#isLive}
       ORDER BY t.rowid LIMIT ?`,
    );
    for (let after = -1; ; ) {
      const batch = statement.all(after, most) as { row: number; id: string }[];
      if (batch.length === 0) return;
      after = batch.at(-1)!.row;
      yield batch.map(({ id }) => id);
    }
  }

  /**
   * Collects the ids of this table that rows refer to.
   * @param referrers tables of the mirror, each with the path of its file
   */
  collectReferences(referrers: readonly { path: string; table: Table }[]): void {
    this.#db.exec('CREATE TEMP TABLE referenced (id TEXT PRIMARY KEY) WITHOUT ROWID');
    for (const { path, table } of referrers) {
      const own = path === this.#path ? undefined : path;
      if (own !== undefined) this.#db.exec(`ATTACH ${quoteText(own)} AS other`);
      try {
        const from = `${own === undefined ? 'main' : 'other'}.${quote(table.name)}`;
        const live = hasMarks(table) ? `r.${quote(deletedAtColumn)} IS NULL` : 'true';
        for (const { column, targets, typeColumn } of table.foreignKeys) {
          if (!targets.includes(this.#table.logicalName)) continue;
          const name = `r.${quote(column)}`;
          const ofType = typeColumn === undefined ? 'true' : `coalesce(r.${quote(typeColumn)}, ?1) = ?1`;
          this.#db
            .prepare(
              `INSERT OR IGNORE INTO temp.referenced SELECT ${name} FROM ${from} r
               WHERE ${name} IS NOT NULL AND ${live} AND ${ofType}`,
            )
            .run(...(typeColumn === undefined ? [] : [this.#table.logicalName]));
        }
      } finally {
        if (own !== undefined) this.#db.exec('DETACH other');
      }
    }
  }

  /** The collected ids that the table lacks, or has only marked as deleted, so many at a time. */
  *missingReferences(most: number): Generator<string[]> {
    const statement = this.#db.prepare(
      `SELECT id FROM temp.referenced WHERE id > ? AND id NOT IN (
         SELECT t.${this.#key} FROM ${this.#name} t WHERE ${this.#isLive}
       ) ORDER BY id LIMIT ?`,
    );
    for (let after = ''; ; ) {
      const batch = (statement.all(after, most) as { id: string }[]).map(({ id }) => id);
      if (batch.length === 0) return;
      after = batch.at(-1)!;
      yield batch;
    }
  }

  /** The rows of the table that are not among the collected ids. */
  unneededCount(): number {
    return this.#number(`SELECT count(*) AS n FROM ${this.#name} t
      WHERE ${this.#isLive} AND t.${this.#key} NOT IN (SELECT id FROM temp.referenced)`);
  }

  /** Rows whose current version in the history is another one, or absent. */
  differingHistory(history: string): number {
    const differs = anyOf(this.#columns.map(({ name }) => `t.${quote(name)} IS NOT h.${quote(name)}`));
    return this.#number(`SELECT count(*) AS n FROM ${this.#name} t
      LEFT JOIN main.${quote(history)} h ON h.${this.#key} = t.${this.#key} AND h.valid_to IS NULL
      WHERE ${this.#isLive} AND (h.${this.#key} IS NULL OR ${differs})`);
  }

  #differs(): string {
    return anyOf(this.#columns.map(({ name }) => `t.${quote(name)} IS NOT s.${quote(name)}`));
  }

  #withPage<T>(file: string, work: () => T): T {
    this.#db.exec(`ATTACH ${quoteText(file)} AS page`);
    try {
      return work();
    } finally {
      this.#db.exec('DETACH page');
    }
  }

  #number(sql: string): number {
    return (this.#db.prepare(sql).get() as { n: number }).n;
  }
}

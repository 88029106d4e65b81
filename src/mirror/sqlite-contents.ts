import { ConflictError } from '../errors.ts';
import { quoteIdentifier as quote } from '../schema/sql.ts';
import type { Table } from '../schema/table.ts';
import type { DatabaseFile } from '../storage/database/database-file.ts';
import { type ListedChoice, type ListedName, listedLabels } from '../target/common/listed-labels.ts';
import { historyName } from '../target/common/mirror-table.ts';
import type { MirrorContents, MirrorValue } from '../target/mirror-contents.ts';
import type { Labels } from '../target/mirror-target.ts';
import { type State, tablesOf } from '../target/state.ts';
import { Mirror, type MirrorOptions } from './mirror.ts';

/** Rows that are read at once, and their bytes: the last row can be larger. */
const batchRows = 2000;
const batchBytes = 8_000_000;

/** The contents of SQLite files, read by ranges of one state of each. */
export class SqliteContents implements MirrorContents {
  readonly state: State;
  labels: Labels | undefined;
  readonly #mirrors: ReadonlyMap<string | undefined, Mirror>;

  private constructor(state: State, mirrors: ReadonlyMap<string | undefined, Mirror>) {
    this.state = state;
    this.#mirrors = mirrors;
  }

  /**
   * Opens the files that a state describes.
   * @param fileOf the file of a database; undefined for the default one
   * @throws ConflictError if a file is of another state by now
   */
  static async open(
    state: State,
    defaultName: string,
    fileOf: (name: string | undefined) => DatabaseFile,
    options: MirrorOptions = {},
  ): Promise<SqliteContents> {
    const { databases = { [defaultName]: { etag: state.databaseEtag } } } = state;
    const mirrors = new Map<string | undefined, Mirror>();
    for (const [name, { etag }] of Object.entries(databases)) {
      const key = name === defaultName ? undefined : name;
      const found = await fileOf(key).open();
      if (typeof found === 'string' || found.etag !== etag) {
        throw new ConflictError(`A sync has changed the database ${name} meanwhile.`, { object: name });
      }
      const source = { name, open: async () => found };
      mirrors.set(key, new Mirror(source, found, options));
    }
    const contents = new SqliteContents(state, mirrors);
    contents.labels = await contents.#labels();
    return contents;
  }

  get databases(): (string | undefined)[] {
    return [...this.#mirrors.keys()];
  }

  historyName(table: Pick<Table, 'name'>): string {
    return historyName(table);
  }

  async columns(table: string, database?: string): Promise<{ name: string; isMixed: boolean }[]> {
    const sql = 'SELECT name, type FROM pragma_table_info(?)';
    const found = await this.#mirror(database).query<{ name: string; type: string }>(sql, [table]);
    return found.map(({ name, type }) => ({ name, isMixed: type === '' }));
  }

  async *rows(table: string, columns: readonly string[], database?: string): AsyncGenerator<MirrorValue[][]> {
    const mirror = this.#mirror(database);
    const all = (await this.columns(table, database)).map(({ name }) => name.toLowerCase());
    // Columns of Dataverse may have taken a name of it.
    const rowid = ['rowid', '_rowid_', 'oid'].find((name) => !all.includes(name))!;
    const sql = `SELECT ${rowid}, ${columns.map(quote).join(', ')} FROM ${quote(table)}
      WHERE ${rowid} > ? ORDER BY ${rowid} LIMIT ${batchRows}`;
    for (let last: MirrorValue = Number.MIN_SAFE_INTEGER; ; ) {
      const { rows, isComplete } = await mirror.execute(sql, [last], { maxBytes: batchBytes });
      if (rows.length > 0) yield rows.map((row) => row.slice(1));
      if (isComplete && rows.length < batchRows) return;
      last = rows.at(-1)![0]!;
    }
  }

  async close(): Promise<void> {
    for (const mirror of this.#mirrors.values()) await mirror.close();
  }

  #mirror(database: string | undefined): Mirror {
    return this.#mirrors.get(database)!;
  }

  /** Those of all files. */
  async #labels(): Promise<Labels | undefined> {
    if (this.state.choices === undefined) return undefined;
    const labels: Labels = { choices: [], names: [] };
    for (const [database, mirror] of this.#mirrors) {
      const tables = tablesOf(this.state).filter((table) => table.database === database);
      const found = await labelsIn(mirror, tables);
      labels.choices.push(...found.choices);
      labels.names!.push(...found.names!);
      if (found.language !== undefined) labels.language = found.language;
    }
    return labels;
  }
}

async function labelsIn(mirror: Mirror, tables: readonly Table[]): Promise<Labels> {
  const present = new Set(
    (await mirror.query<{ name: string }>("SELECT name FROM sqlite_schema WHERE type = 'table'")).map(
      ({ name }) => name,
    ),
  );
  const all = async <Row>(table: string, columns: string): Promise<Row[]> =>
    present.has(table) ? mirror.query<Row>(`SELECT ${columns} FROM ${table}`) : [];
  const labels = listedLabels(tables, {
    choices: await all<ListedChoice>('_choices', 'table_name, column_name, value, language, label'),
    tables: await all<ListedName>('_sync_tables', 'table_name, display_name, description'),
    columns: await all<ListedName>('_sync_columns', 'table_name, column_name, display_name, description'),
  });
  const meta = "SELECT json_extract(value, '$.language') AS language FROM _sync_meta WHERE name = 'choices'";
  const [found] = await mirror.query<{ language: number | null }>(meta);
  return found?.language == null ? labels : { ...labels, language: found.language };
}

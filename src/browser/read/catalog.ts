import type { Dialect } from '../sql/dialects.ts';
import type { MirrorReader } from './mirror-reader.ts';

export interface Relation {
  name: string;
  kind: 'table' | 'view';
  /** Rows are stored in the order of their `rowid`. */
  hasRowid: boolean;
}

export interface Column {
  name: string;
  type: string;
  /** Its place in the key, from 1; 0 if it is not in it. */
  keyPlace: number;
}

export interface Reference {
  table: string;
  column: string;
  target: string;
}

/** What the mirror has: read once for each state. */
export class Catalog {
  relations: Relation[] = [];
  /** Rows by table, as the last sync counted them. */
  rows = new Map<string, number>();
  references: Reference[] = [];
  /** Aborted once nobody waits for what is read any more. */
  signal: AbortSignal | undefined;
  readonly dialect: Dialect;
  readonly #reader: MirrorReader;
  readonly #columns = new Map<string, Column[]>();
  readonly #labels = new Map<string, Map<string, string>>();

  constructor(reader: MirrorReader, dialect: Dialect) {
    this.#reader = reader;
    this.dialect = dialect;
  }

  /** Reads what the state that is open has. Columns and labels are read once they are needed. */
  async load(): Promise<void> {
    const found = await this.#reader.query(this.dialect.relations, [], { maxRows: 10_000 });
    const relations = found.rows.map(([name, kind, isWithout]) => ({
      name: String(name),
      kind: kind as Relation['kind'],
      hasRowid: kind === 'table' && isWithout === 0,
    }));
    /** Rows of a bookkeeping table; none if the mirror has no such table. */
    const ask = async (sql: string): Promise<unknown[][]> => {
      const table = / FROM (\w+)/.exec(sql)![1];
      if (!relations.some(({ name }) => name === table)) return [];
      return (await this.#reader.query(sql, [], { maxRows: 50_000 })).rows;
    };
    const counts = await ask('SELECT table_name, rows FROM _sync_state');
    const keys = await ask('SELECT table_name, column_name, target_table FROM _sync_foreign_keys');
    // All of it, or nothing: what failed leaves the earlier state as it was.
    this.#columns.clear();
    this.#labels.clear();
    this.relations = relations;
    this.rows = new Map(counts.map(([table, rows]) => [String(table), Number(rows)]));
    this.references = keys.map(([table, column, target]) => ({
      table: String(table),
      column: String(column),
      target: String(target),
    }));
  }

  has(name: string): boolean {
    return this.relations.some((one) => one.name === name);
  }

  async columns(table: string): Promise<Column[]> {
    const known = this.#columns.get(table);
    if (known !== undefined) return known;
    const { sql, parameters } = this.dialect.columns(table);
    const { rows } = await this.#reader.query(sql, parameters, { maxRows: 2000, signal: this.signal });
    const columns = rows.map(([name, type, key]) => ({
      name: String(name),
      type: String(type),
      keyPlace: Number(key),
    }));
    this.#columns.set(table, columns);
    return columns;
  }

  /** The columns of the key, in its order. */
  async key(table: string): Promise<string[]> {
    const columns = (await this.columns(table)).filter(({ keyPlace }) => keyPlace > 0);
    return columns.sort((a, b) => a.keyPlace - b.keyPlace).map(({ name }) => name);
  }

  /** The column that alone names a row; undefined if there is none. */
  async naming(table: string): Promise<string | undefined> {
    const [first, ...others] = await this.key(table);
    return others.length === 0 ? first : undefined;
  }

  /** The labels of the choices of a table, by `column value`. */
  async labels(table: string): Promise<Map<string, string>> {
    const known = this.#labels.get(table);
    if (known !== undefined) return known;
    const labels = new Map<string, string>();
    if (!this.has('_choices')) return labels;
    // The base language of the organisation is the last, and stays.
    const { sql, parameters } = this.dialect.labels(table, this.has('_sync_meta'));
    const { rows } = await this.#reader.query(sql, parameters, { maxRows: 50_000, signal: this.signal });
    for (const [column, value, label] of rows) labels.set(`${column} ${value}`, String(label));
    this.#labels.set(table, labels);
    return labels;
  }

  /** The columns whose values lead to rows: the one that names a row of the table, and references. */
  async leading(table: string): Promise<string[]> {
    const references = this.references.filter((one) => one.table === table).map(({ column }) => column);
    const naming = await this.naming(table);
    return naming === undefined ? references : [naming, ...references];
  }

  /** The tables that a column refers to. */
  targetsOf(table: string, column: string): string[] {
    return this.references
      .filter((one) => one.table === table && one.column === column && this.has(one.target))
      .map(({ target }) => target);
  }
}

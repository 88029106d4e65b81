import type { Database, SqlJsStatic, SqlValue, Statement } from 'sql.js';
import type { QueryParameter, QueryResult, Value } from './query-result.ts';

/** A database that is only read. */
export class ReadOnlyDatabase {
  readonly #database: Database;

  /**
   * @param file as `PagedFile.asArgument` makes it, which refuses writes
   * @param maxBytes memory for queries, which a query can lower but not raise (sqlite.org: PRAGMA hard_heap_limit)
   */
  constructor(sqlJs: SqlJsStatic, file: Uint8Array, maxBytes: number) {
    this.#database = new sqlJs.Database(file);
    this.#database.run('PRAGMA query_only=on; PRAGMA temp_store=memory; PRAGMA trusted_schema=off');
    this.#database.run(`PRAGMA hard_heap_limit=${Math.floor(maxBytes)}`);
    // Reads the first page, and throws if it is not a database.
    this.#database.run('SELECT count(*) FROM sqlite_schema');
  }

  /** @throws Error with SQLite's message, also for more than one statement */
  query(
    sql: string,
    parameters: readonly QueryParameter[],
    limits: { maxRows?: number | undefined; maxBytes?: number | undefined } = {},
  ): QueryResult {
    // A query can turn it off.
    this.#database.run('PRAGMA query_only=on');
    const statements = this.#database.iterateStatements(sql);
    const first = statements.next();
    if (first.done) throw new Error('There is no statement in the query.');
    const statement = first.value;
    // The iterator frees the statement with the next one.
    if (hasMore(statements.getRemainingSQL())) {
      statement.free();
      throw new Error('There is more than one statement in the query. Send them one after the other.');
    }
    try {
      statement.bind(parameters.map(bindable));
      return read(statement, limits);
    } finally {
      statement.free();
    }
  }
}

function read(
  statement: Statement,
  {
    maxRows = Number.POSITIVE_INFINITY,
    maxBytes = Number.POSITIVE_INFINITY,
  }: { maxRows?: number | undefined; maxBytes?: number | undefined },
): QueryResult {
  const columns = statement.getColumnNames();
  // The types of sql.js lack the second parameter.
  const get = statement.get as (params: null, config: { useBigInt: boolean }) => (SqlValue | bigint)[];
  const rows: Value[][] = [];
  let bytes = 0;
  while (statement.step()) {
    if (rows.length >= maxRows || bytes >= maxBytes) return { columns, rows, isComplete: false };
    const row = get.call(statement, null, { useBigInt: true }).map(plain);
    for (const value of row) bytes += typeof value === 'object' ? (value?.length ?? 0) : String(value).length;
    rows.push(row);
  }
  return { columns, rows, isComplete: true };
}

/** Integers as numbers where those are exact. */
function plain(value: SqlValue | bigint): Value {
  if (typeof value !== 'bigint') return value;
  return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
}

/** sql.js would write lone surrogates as invalid UTF-8 and does not accept booleans. */
function bindable(value: QueryParameter): SqlValue {
  if (typeof value === 'string') return value.toWellFormed();
  if (typeof value === 'boolean') return value ? 1 : 0;
  return value as SqlValue;
}

/** Whether there is anything but semicolons, space and comments. */
function hasMore(sql: string): boolean {
  return sql.replace(/\/\*[\s\S]*?(?:\*\/|$)|--[^\n]*/g, '').replaceAll(/[\s;]/g, '') !== '';
}

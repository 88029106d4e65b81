import { quoteIdentifier as quote } from '../../../schema/sql.ts';
import type { Table } from '../../../schema/table.ts';
import { deletedAtColumn, hasMarks } from '../../common/mirror-table.ts';
import type { Session } from '../connection/session.ts';
import type { TemporaryTables } from '../rows/temporary-tables.ts';

/**
 * The rows of a table, for joins with temporary tables. Citus has no outer, lateral or anti-join of a table that is on several
 * nodes with one of this connection, or it would bring all of it here. So there the rows in question come into a temporary
 * table first, by a condition that each node evaluates for its own rows.
 */
export class ComparedRows {
  /** Whether rows are brought here. */
  readonly isCopied: boolean;
  readonly #session: Session;
  readonly #table: Table;
  readonly #types: ReadonlyMap<string, string>;
  readonly #temporary: TemporaryTables;

  constructor(
    session: Session,
    table: Table,
    types: ReadonlyMap<string, string>,
    temporary: TemporaryTables,
    isCopied: boolean,
  ) {
    this.#session = session;
    this.#table = table;
    this.#types = types;
    this.#temporary = temporary;
    this.isCopied = isCopied;
  }

  /**
   * @param columns that `work` needs beside the key, and the mark of deleted rows
   * @param keys a SELECT of the keys of the rows in question; undefined for all rows
   * @param work gets the name of a table with at least these rows
   */
  async use<T>(
    columns: readonly string[],
    keys: string | undefined,
    work: (rows: string) => Promise<T>,
  ): Promise<T> {
    const name = this.#session.name(this.#table.name);
    if (!this.isCopied) return work(name);
    const { primaryKey } = this.#table;
    const own = hasMarks(this.#table) ? [primaryKey, deletedAtColumn] : [primaryKey];
    const names = [...new Set([...own, ...columns])];
    const definitions = names.map((column) => `${quote(column)} ${this.#types.get(column)}`);
    const copy = await this.#temporary.open(
      'stored_rows',
      [...definitions, `PRIMARY KEY (${quote(primaryKey)})`].join(', '),
    );
    const selected = names.map((column) => `t.${quote(column)}`).join(', ');
    const which = keys === undefined ? '' : ` WHERE t.${quote(primaryKey)} IN (${keys})`;
    await this.#session.run(
      `INSERT INTO ${copy} (${names.map(quote).join(', ')}) SELECT ${selected} FROM ${name} t${which}`,
    );
    const result = await work(copy);
    await this.#temporary.empty(copy);
    return result;
  }
}

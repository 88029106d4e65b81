import { quoteIdentifier as quote } from '../../../schema/sql.ts';
import type { Session } from '../connection/session.ts';

/**
 * The temporary tables of a transaction. Each table, its index and its large values are three locks or more until the
 * transaction ends, even if they are dropped before, and the server has a limited number for all transactions
 * (postgresql.org: max_locks_per_transaction). So tables with the same columns are used again.
 */
export class TemporaryTables {
  readonly #session: Session;
  /** The quoted names of the tables, by what they are for and their columns. */
  readonly #names = new Map<string, string>();

  constructor(session: Session) {
    this.#session = session;
  }

  /**
   * Creates the table, or takes an earlier one, which its user emptied.
   * @param purpose the beginning of its name
   * @returns its name, quoted
   */
  async open(purpose: string, columns: string): Promise<string> {
    const key = `${purpose} ${columns}`;
    const known = this.#names.get(key);
    if (known !== undefined) return known;
    const name = quote(`${purpose}_${this.#names.size + 1}`);
    await this.#session.run(`CREATE TEMP TABLE ${name} (${columns}) ON COMMIT DROP`);
    this.#names.set(key, `pg_temp.${name}`);
    return `pg_temp.${name}`;
  }

  /** Without dead rows, which the next user would go through. */
  async empty(...names: readonly string[]): Promise<void> {
    await this.#session.run(`TRUNCATE ${names.join(', ')}`);
  }
}

import { pipeline } from 'node:stream/promises';
import type { Client, QueryArrayConfig } from 'pg';
import { quoteIdentifier as quote } from '../../../schema/sql.ts';
import { limitAnswer } from './limit-answer.ts';
import { postgresError, statementError, tooLarge } from './postgres-errors.ts';
import { storableText } from './storable-text.ts';

/** Where another writer holds the mirror for longer, the queue tries again. */
export const lockSeconds = 120;
/** Readers wait behind a statement that waits to change a table, so it gives up early. */
const definitionLockMilliseconds = 5000;
/** So long that a reader who leaves lets it through. */
const shortLockMilliseconds = 50;

const isOfClusterSql = `SELECT to_regclass('pg_catalog.pg_dist_partition') AS list`;

/** The answer to a statement of a person has no more, whatever it is: the rows that are asked for at once have half of it. */
const foreignBytes = 64 * 1024 * 1024;

/** What a parameter can be. Every type of PostgreSQL reads its values from text. */
export type Parameter = string | number | boolean | null | readonly string[];

/** A row, whose values are the texts of PostgreSQL. */
export type Row = Record<string, string | null>;

/** What a statement of a person brings. */
export interface ForeignRows {
  columns: { name: string; type: number }[];
  rows: (string | null)[][];
}

function storable(parameter: Parameter): unknown {
  if (typeof parameter === 'string') return storableText(parameter);
  return Array.isArray(parameter) ? parameter.map(storableText) : parameter;
}

/**
 * One connection, and the schema of the mirror. Statements have no names and set nothing that outlives a transaction, so
 * that connections can be pooled on the way (PgBouncer: transaction mode).
 */
export class Session {
  readonly schema: string;
  /** Whether the database is one of a cluster (Citus). `begin` finds out. */
  isOfCluster = false;
  readonly #client: Client;
  #waitMilliseconds = definitionLockMilliseconds;
  /** Names the object of errors. */
  #object: string;

  constructor(client: Client, schema: string) {
    this.#client = client;
    this.schema = schema;
    this.#object = schema;
  }

  /** The quoted name of the schema. */
  get schemaName(): string {
    return quote(this.schema);
  }

  /** The quoted name of a table or view of the mirror. */
  name(name: string): string {
    return `${this.schemaName}.${quote(name)}`;
  }

  /** The same connection and transaction, for another schema. */
  in(schema: string): Session {
    const other = new Session(this.#client, schema);
    other.isOfCluster = this.isOfCluster;
    return other;
  }

  /**
   * Sets what holds until the transaction ends. The nodes of a cluster evaluate parts of statements with settings of their
   * own, and wait for locks of their own, so there they get what is set from now on (Citus: propagate_set_commands). Limits
   * of idle transactions are those of this node: the others are idle while it works.
   */
  async begin(settings: readonly string[]): Promise<void> {
    const answers = await this.#query([...settings, isOfClusterSql].join(';\n'), []);
    const found = (answers as unknown as { rows: Row[] }[]).at(-1)!.rows[0]!['list'];
    this.isOfCluster = found !== null;
    if (!this.isOfCluster) return;
    await this.run(`SET LOCAL citus.propagate_set_commands = 'local'`);
    const shared = settings.filter((one) => /^SET LOCAL (?!idle_)/.test(one));
    for (const one of shared) await this.run(one);
  }

  /** Whether the database is one of a cluster, before a transaction begins. */
  async findCluster(): Promise<boolean> {
    return (await this.get(isOfClusterSql))?.['list'] != null;
  }

  /** Errors of `work` name this table. */
  async about<T>(object: string, work: () => Promise<T>): Promise<T> {
    const before = this.#object;
    this.#object = object;
    try {
      return await work();
    } finally {
      this.#object = before;
    }
  }

  /** All rows of a query. */
  async all<T = Row>(sql: string, parameters: readonly Parameter[] = []): Promise<T[]> {
    return (await this.#query(sql, parameters)).rows as T[];
  }

  /** The first row of a query. */
  async get<T = Row>(sql: string, parameters: readonly Parameter[] = []): Promise<T | undefined> {
    return (await this.all<T>(sql, parameters))[0];
  }

  /** The number in the first column of the first row. */
  async number(sql: string, parameters: readonly Parameter[] = []): Promise<number> {
    const row = await this.get(sql, parameters);
    return Number(Object.values(row ?? {})[0] ?? 0);
  }

  /** Runs one statement. @returns how many rows it changed */
  async run(sql: string, parameters: readonly Parameter[] = []): Promise<number> {
    return (await this.#query(sql, parameters)).rowCount ?? 0;
  }

  /** From now on, statements that change definitions hardly wait: a reader that holds one table can hold all of them. */
  shortenWaits(): void {
    this.#waitMilliseconds = shortLockMilliseconds;
  }

  /** Runs statements that depend on nothing between them. On a cluster each is sent alone: Citus passes on the whole text. */
  async runAll(statements: readonly string[]): Promise<void> {
    const texts = this.isOfCluster ? statements : [statements.join(';\n')];
    for (const text of texts) await this.#query(text, []);
  }

  /** Changes definitions: runs a statement that locks a table or view against readers, and waits for them for a while. */
  async define(sql: string): Promise<void> {
    const limits = [this.#waitMilliseconds, lockSeconds * 1000].map(
      (limit) => `SET LOCAL lock_timeout = '${limit}ms'`,
    );
    await this.runAll([limits[0]!, sql, limits[1]!]);
  }

  async #query(sql: string, parameters: readonly Parameter[]) {
    try {
      return await this.#client.query(sql, parameters.map(storable));
    } catch (error) {
      throw postgresError(error, 'work on', this.#object);
    }
  }

  /**
   * Runs one statement that a person wrote. The server takes no second one.
   * @returns the names of the columns with the numbers of their types, and rows with the texts of PostgreSQL
   * @throws StatementError with the server's words, RetriableError
   */
  async foreign(sql: string, parameters: readonly Parameter[] = []): Promise<ForeignRows> {
    const query = { text: sql, values: parameters.map(storable), rowMode: 'array', queryMode: 'extended' };
    const answer = limitAnswer(this.#client, foreignBytes);
    try {
      const { fields, rows } = await this.#client.query(query as QueryArrayConfig);
      return {
        columns: fields.map(({ name, dataTypeID }) => ({ name, type: dataTypeID })),
        rows: rows as (string | null)[][],
      };
    } catch (error) {
      if (answer.isExceeded()) throw tooLarge();
      throw statementError(error) ?? postgresError(error, 'query', this.#object);
    } finally {
      answer.stop();
    }
  }

  /** Runs `COPY … FROM STDIN` with these chunks of its text format. */
  async copy(sql: string, chunks: Iterable<Buffer> | AsyncIterable<Buffer>): Promise<void> {
    // Its names are those of a function, which a bundle does not find.
    const { default: streams } = await import('pg-copy-streams');
    try {
      await pipeline(chunks, this.#client.query(streams.from(sql)));
    } catch (error) {
      throw postgresError(error, 'load rows into', this.#object);
    }
  }

  /** Undoes what `work` did if PostgreSQL refuses it. @returns whether it was done */
  async attempt(work: () => Promise<void>): Promise<boolean> {
    return (await this.refusal(work)) === undefined;
  }

  /** The same. @returns why PostgreSQL refused it; undefined if it was done */
  async refusal(work: () => Promise<void>): Promise<unknown> {
    await this.run('SAVEPOINT attempt');
    try {
      await work();
      await this.run('RELEASE SAVEPOINT attempt');
      return undefined;
    } catch (error) {
      // Fails, too, if the connection is lost.
      await this.run('ROLLBACK TO SAVEPOINT attempt').catch(() => {
        throw error;
      });
      await this.run('RELEASE SAVEPOINT attempt');
      return error;
    }
  }
}

import type { Pool, PoolClient, PoolConfig } from 'pg';
import { isLocalServer, type PostgresAddress } from '../../../config/postgres/postgres-address.ts';
import { RetriableError } from '../../../errors.ts';
import { postgresError, tooLong } from './postgres-errors.ts';
import { lockSeconds, Session } from './session.ts';
import { lockForWriter } from './writer-lock.ts';

/** Where the mirror is, and how to sign in. */
export interface PostgresOptions extends Omit<PostgresAddress, 'password'> {
  /** A password, or what returns one for each new connection, such as an access token. */
  password?: string | (() => Promise<string>) | undefined;
  /** The schema of the mirror. It has no other tables. */
  schema: string;
}

/**
 * Of each kind: writers, which wait for each other, and readers, so that a writer that asks for a reader does not wait for
 * the other writers.
 */
const maxConnections = 5;
const connectSeconds = 20;

/** Firewalls forget connections that are silent for a few minutes, as during a long statement. */
const keepAliveSeconds = 30;
/** After this long without a statement, the server ends a transaction whose process is gone. */
const idleSeconds = 900;

/** A limit for the statements of other clients could be too short for a large table, in each try again. */
const noStatementLimit = 'SET LOCAL statement_timeout = 0';

/** Keys of shards are sorted and compared in memory: with the setting of most servers, those of large tables would not fit. */
const moreWorkMemory = `SELECT set_config('work_mem', '64MB', true)
  WHERE pg_size_bytes(current_setting('work_mem')) < pg_size_bytes('64MB')`;

/** Values become the same texts whatever the settings of the server, the database and the user are. */
const textForms = [
  `SET LOCAL TIME ZONE 'UTC'`,
  `SET LOCAL datestyle = 'ISO, YMD'`,
  'SET LOCAL extra_float_digits = 1',
  `SET LOCAL bytea_output = 'hex'`,
];

/** Work that the mirror can do without gives up early: the most seconds of a statement, of a wait, and between statements. */
const shortLimits = [
  ...textForms,
  `SET LOCAL statement_timeout = '60s'`,
  `SET LOCAL lock_timeout = '5s'`,
  `SET LOCAL idle_in_transaction_session_timeout = '60s'`,
];

/** Values come as the texts of PostgreSQL: JavaScript has no type for most of them. */
const asText = { getTypeParser: () => (value: string) => value } as unknown as PoolConfig['types'];

/** TLS with a certificate that is verified, for every connection that leaves this machine. */
export function tlsOf(host: string): false | { rejectUnauthorized: true } {
  return isLocalServer(host) ? false : { rejectUnauthorized: true };
}

type FirstOfRead = (session: Session) => Promise<void>;

/** The connections of a process. They are made when they are needed. */
export class Connections {
  readonly #options: PostgresOptions;
  #readers: Promise<Pool> | undefined;
  #writers: Promise<Pool> | undefined;
  /** Whether the database was none of a cluster when it was asked last. */
  #isPlain = false;

  constructor(options: PostgresOptions) {
    this.#options = options;
  }

  /**
   * Runs `work` in a transaction that only reads, and sees one state of the mirror. A connection that was not used for a
   * while may be gone, so a read that fails is tried again with another one.
   * @param first on a cluster, runs before anything decides what the transaction sees
   */
  async read<T>(work: (session: Session) => Promise<T>, first?: FirstOfRead): Promise<T> {
    try {
      return await this.#readOnce(work, first);
    } catch (error) {
      if (!(error instanceof RetriableError)) throw error;
      return this.#readOnce(work, first);
    }
  }

  /** The same for work that has consequences elsewhere, so that nothing repeats it. It may take long between statements. */
  async readOnce<T>(work: (session: Session) => Promise<T>, first?: FirstOfRead): Promise<T> {
    return this.#readOnce(async (session) => {
      await session.run('SET LOCAL idle_in_transaction_session_timeout = 0');
      return work(session);
    }, first);
  }

  #readOnce<T>(work: (session: Session) => Promise<T>, first?: FirstOfRead): Promise<T> {
    return this.#with(async (client) => {
      const session = new Session(client, this.#options.schema);
      // Not in the transaction: a query decides what it sees.
      if (first !== undefined && !this.#isPlain) this.#isPlain = !(await session.findCluster());
      await session.run('BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY');
      if (!this.#isPlain) await first?.(session);
      await session.begin([...textForms, noStatementLimit]);
      this.#isPlain = !session.isOfCluster;
      const result = await work(session);
      await session.run('COMMIT');
      return result;
    });
  }

  /**
   * The same for statements of people, on a connection of its own: they could leave settings and locks behind. They can
   * also turn the server's limits off, so the connection ends with its process there when the time is over.
   * @param seconds that `work` may take
   * @throws StatementError if it takes longer
   */
  async readForeign<T>(seconds: number, work: (session: Session) => Promise<T>): Promise<T> {
    return this.#with(
      async (client) => {
        const session = new Session(client, this.#options.schema);
        await session.run('BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY');
        await session.begin([`SET LOCAL statement_timeout = '${seconds}s'`, ...textForms]);
        await session.run('SELECT set_config($1, $2, true)', ['search_path', session.schemaName]);
        const process = await session.number('SELECT pg_backend_pid()');
        let timer: NodeJS.Timeout | undefined;
        const end = new Promise<never>((_, reject) => {
          timer = setTimeout(() => {
            void this.#terminate(process);
            // Also where that is not possible, nobody waits for the query any more.
            reject(tooLong());
          }, seconds * 1000);
        });
        try {
          return await Promise.race([work(session), end]);
        } finally {
          clearTimeout(timer);
        }
      },
      { isClosed: true, isWriter: true },
    );
  }

  /** Ends a process of the same user. A server that cannot be reached for that will notice that its client is gone. */
  async #terminate(process: number): Promise<void> {
    await this.#with((client) => client.query('SELECT pg_terminate_backend($1)', [process])).catch(
      () => undefined,
    );
  }

  /**
   * Runs `work` in a transaction while no other writer works on the mirror. It is rolled back unless `work` calls `commit`.
   */
  async write<T>(work: (session: Session, commit: () => Promise<void>) => Promise<T>): Promise<T> {
    return this.#with(
      async (client) => {
        const { schema } = this.#options;
        const session = new Session(client, schema);
        await session.run('BEGIN');
        const settings = [
          ...textForms,
          noStatementLimit,
          `SET LOCAL lock_timeout = '${lockSeconds}s'`,
          `SET LOCAL idle_in_transaction_session_timeout = '${idleSeconds}s'`,
          moreWorkMemory,
        ];
        await session.begin(settings);
        await lockForWriter(session);
        let isDone = false;
        const result = await work(session, async () => {
          await session.run('COMMIT');
          isDone = true;
        });
        if (!isDone) await session.run('ROLLBACK');
        return result;
      },
      { isWriter: true },
    );
  }

  /** The same, and takes back what `work` did. */
  probe<T>(work: (session: Session) => Promise<T>): Promise<T> {
    return this.beside(work, 'ROLLBACK');
  }

  /** Runs `work` in a transaction of its own, also while a writer works on the mirror. */
  async beside<T>(work: (session: Session) => Promise<T>, end = 'COMMIT'): Promise<T> {
    return this.#with(async (client) => {
      const session = new Session(client, this.#options.schema);
      await session.run('BEGIN');
      await session.begin(shortLimits);
      const result = await work(session);
      await session.run(end);
      return result;
    });
  }

  /** A connection on which something failed is closed, which rolls back. */
  async #with<T>(
    work: (client: PoolClient) => Promise<T>,
    { isClosed = false, isWriter = false }: { isClosed?: boolean; isWriter?: boolean } = {},
  ): Promise<T> {
    const { host, database } = this.#options;
    const client = await this.#connect(isWriter).catch((error: unknown) => {
      throw postgresError(error, 'connect to', `${host}/${database}`);
    });
    // Without a listener, a connection that is lost between two statements would end the process.
    const ignore = () => undefined;
    client.on('error', ignore);
    try {
      const result = await work(client);
      client.off('error', ignore);
      client.release(isClosed);
      return result;
    } catch (error) {
      client.release(true);
      throw error;
    }
  }

  async #connect(isWriter: boolean): Promise<PoolClient> {
    if (isWriter) this.#writers ??= this.#open();
    else this.#readers ??= this.#open();
    return (await (isWriter ? this.#writers : this.#readers)!).connect();
  }

  async #open(): Promise<Pool> {
    const { default: pg } = await import('pg');
    const { schema: _, host, ...options } = this.#options;
    const pool = new pg.Pool({
      ...options,
      host,
      ssl: tlsOf(host),
      max: maxConnections,
      connectionTimeoutMillis: connectSeconds * 1000,
      idleTimeoutMillis: 30_000,
      keepAlive: true,
      keepAliveInitialDelayMillis: keepAliveSeconds * 1000,
      allowExitOnIdle: true,
      types: asText,
      application_name: 'dataverse-sqlite-sync',
    });
    pool.on('error', () => undefined);
    return pool;
  }

  async close(): Promise<void> {
    const pools = [this.#readers, this.#writers];
    this.#readers = undefined;
    this.#writers = undefined;
    for (const pool of pools) await (await pool)?.end();
  }
}

import type { PostgresSettings } from '../../../config/postgres/postgres-settings.ts';
import { ConfigurationError, RetriableError } from '../../../errors.ts';
import { hasBookkeeping } from '../bookkeeping/bookkeeping-tables.ts';
import { readVersion } from '../bookkeeping/stored-state.ts';
import { Connections, type PostgresOptions } from '../connection/connections.ts';
import { StatementError } from '../connection/postgres-errors.ts';
import type { Session } from '../connection/session.ts';
import { connectionTo } from '../connection/sign-in.ts';
import { type Cell, cellOf, isNumber, shortened } from './cells.ts';
import { trimmed, withoutComments } from './statement-end.ts';

/** A query of a person. */
export interface MirrorQuery {
  /** One statement that reads: `SELECT`, `WITH`, `VALUES` or `TABLE`. */
  sql: string;
  parameters: readonly (string | number | null)[];
  maxRows: number;
  /** Longer texts are cut, but not those of the columns `whole`. */
  maxText: number;
  whole: readonly string[];
  /** The state that is meant; undefined for the present one. */
  etag?: string | undefined;
}

export interface QueryResult {
  /** The state that was read. */
  etag: string;
  columns: string[];
  rows: Cell[][];
  /** There are more rows. */
  isCut: boolean;
}

const querySeconds = 30;
/** Queries that run at the same time in a process. */
const maxRunning = 5;
/** Rows that come from the server at once, at most. */
const fetchedRows = 500;
/** A result has no more bytes as JSON, and one row beyond these: the host holds the whole answer. */
const maxBytes = 24_000_000;
/** What comes from the server at once has no more. */
const fetchedCharacters = 8_000_000;
/** What a value costs besides its JSON. */
const bytesOfCell = 4;

/**
 * Reads the mirror for people, as a user of PostgreSQL that can only read.
 *
 * A transaction that only reads is not enough: functions can do harm in it. So each query runs as that user, on a
 * connection of its own, which is closed afterwards.
 */
export class MirrorQueries {
  readonly #connections: Connections;
  #isChecked = false;
  #running = 0;

  constructor(options: PostgresOptions) {
    this.#connections = new Connections(options);
  }

  /** Names the present state; undefined if there is no mirror. @throws RetriableError, ConfigurationError */
  async etag(): Promise<string | undefined> {
    return this.#connections.read(presentState);
  }

  /**
   * Runs a query on the state that it names.
   * @param seconds that it may take
   * @returns undefined if that is not the present state, or there is none
   * @throws StatementError, RetriableError, ConfigurationError if the user could do more than read
   */
  async run(query: MirrorQuery, seconds = querySeconds): Promise<QueryResult | undefined> {
    if (this.#running >= maxRunning) {
      throw new RetriableError(`${maxRunning} queries run at the moment.`, {
        operation: 'query',
        hint: `Send it again in a while. A query runs for ${querySeconds} seconds at most, also if nobody waits for it any more.`,
      });
    }
    this.#running += 1;
    try {
      return await this.#connections.readForeign(seconds, async (session) => {
        const etag = await presentState(session);
        this.#isChecked ||= await checkReader(session);
        if (etag === undefined) return undefined;
        if (query.etag !== undefined && query.etag !== etag) return undefined;
        return { etag, ...(await read(session, query)) };
      });
    } finally {
      this.#running -= 1;
    }
  }

  close(): Promise<void> {
    return this.#connections.close();
  }
}

/** Undefined if the settings name no user for queries of people. */
export function openMirrorQueries({ reader, ...settings }: PostgresSettings): MirrorQueries | undefined {
  return reader && new MirrorQueries(connectionTo(reader, settings));
}

/** @throws ConfigurationError if the user has no access to the schema */
async function presentState(session: Session): Promise<string | undefined> {
  const access = await session.get<{ is_usable: string }>(
    `SELECT has_schema_privilege(current_user, oid, 'USAGE') AS is_usable FROM pg_catalog.pg_namespace WHERE nspname = $1`,
    [session.schema],
  );
  if (access?.is_usable === 'f') {
    throw new ConfigurationError(
      `The user of POSTGRES_READER_URL may not use the schema ${session.schema}.`,
      {
        operation: 'query',
        object: 'POSTGRES_READER_URL',
        hint: 'GRANT USAGE ON SCHEMA, and SELECT on its tables, to the user: see docs/postgres.md, "Readers".',
      },
    );
  }
  return (await hasBookkeeping(session)) ? (await readVersion(session))?.state : undefined;
}

/**
 * @returns whether there is a schema to ask about
 * @throws ConfigurationError if the user is one that could change the mirror
 */
async function checkReader(session: Session): Promise<boolean> {
  const found = await session.get<{ may: string }>(
    `SELECT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user)
       OR has_schema_privilege(current_user, n.oid, 'CREATE')
       OR EXISTS (SELECT 1 FROM pg_catalog.pg_class c WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'v')
         AND (pg_has_role(current_user, c.relowner, 'MEMBER')
           OR has_table_privilege(current_user, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE'))) AS may
     FROM pg_catalog.pg_namespace n WHERE n.nspname = $1`,
    [session.schema],
  );
  if (found?.may !== 't') return found !== undefined;
  throw new ConfigurationError('The user of POSTGRES_READER_URL could change the mirror.', {
    operation: 'query',
    object: 'POSTGRES_READER_URL',
    hint: 'Create a user for it that may only read: see docs/postgres.md, "Readers".',
  });
}

async function read(session: Session, query: MirrorQuery): Promise<Omit<QueryResult, 'etag'>> {
  const { parameters, maxRows, maxText, whole } = query;
  const sql = trimmed(query.sql);
  // The server says which columns there are, before any value comes.
  await session.foreign(`DECLARE described NO SCROLL CURSOR FOR ${sql}`, parameters);
  const { columns } = await session.foreign('FETCH 0 FROM described');
  if (columns.length === 0) throw new StatementError('The statement brings no rows.');
  await session.foreign('CLOSE described');
  // It cuts the values, too: one of them can be larger than the memory of the app. A comment ends with its line.
  const most = Math.floor(fetchedCharacters / columns.length);
  const limits = columns.map(({ name }) => Math.min(whole.includes(name) ? wholeText : maxText, most));
  const names = columns.map((_, index) => `c${index}`);
  const selected = names.map((name, index) =>
    isNumber(columns[index]!.type)
      ? `${name}::text AS ${name}`
      : `left(${name}::text, ${limits[index]! + 1}) AS ${name}`,
  );
  const declare = async (text: string): Promise<void> => {
    const cut = `SELECT ${selected.join(', ')} FROM (${text}\n) AS q(${names.join(', ')})`;
    await session.foreign(`DECLARE read NO SCROLL CURSOR FOR ${cut}`, parameters);
  };
  const refusal = await session.refusal(() => declare(sql));
  if (refusal !== undefined) {
    // Comments may follow a semicolon.
    const ended = withoutComments(sql);
    if (ended === sql || !(await session.attempt(() => declare(ended)))) throw refusal;
  }
  const widest = limits.reduce((sum, limit) => sum + limit, 0);
  const atOnce = Math.max(1, Math.min(fetchedRows, Math.floor(fetchedCharacters / widest)));
  const result = { columns: columns.map(({ name }) => name), rows: [] as Cell[][], isCut: false };
  for (let bytes = 0; ; ) {
    const wanted = Math.min(atOnce, maxRows - result.rows.length + 1);
    const found = (await session.foreign(`FETCH ${wanted} FROM read`)).rows;
    for (const row of found) {
      if (result.rows.length >= maxRows || bytes > maxBytes) return { ...result, isCut: true };
      const cells = row.map((text, n) => shortened(cellOf(text, columns[n]!.type), limits[n]!));
      result.rows.push(cells);
      bytes += Buffer.byteLength(JSON.stringify(cells)) + cells.length * bytesOfCell;
    }
    if (found.length < wanted) return result;
  }
}

/** The most characters of a value that leads to a row. */
const wholeText = 100_000;

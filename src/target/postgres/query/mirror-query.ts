import type { PostgresSettings } from '../../../config/postgres/postgres-settings.ts';
import { ConfigurationError } from '../../../errors.ts';
import { hasBookkeeping } from '../bookkeeping/bookkeeping-tables.ts';
import { readVersion } from '../bookkeeping/stored-state.ts';
import { Connections, type PostgresOptions } from '../connection/connections.ts';
import { StatementError } from '../connection/postgres-errors.ts';
import type { Session } from '../connection/session.ts';
import { connectionTo } from '../connection/sign-in.ts';
import { type Cell, cellOf, shortened } from './cells.ts';

/** A query of a person. */
export interface MirrorQuery {
  /** One statement that reads: `SELECT`, `WITH`, `VALUES`, `TABLE`, `SHOW` or `EXPLAIN`. */
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

const statementSeconds = 30;
/** Rows that come from the server at once. */
const fetchedRows = 500;
/** A result has no more characters, and one row beyond these: the host holds the whole answer. */
const maxCharacters = 24_000_000;

/** Statements that bring rows and cannot have a cursor. */
const direct = /^\s*(?:show|explain)\b/i;

/**
 * Reads the mirror for people, as a user of PostgreSQL that can only read.
 *
 * A transaction that only reads is not enough: functions can do harm in it. So each query runs as that user, on a
 * connection of its own, which is closed afterwards.
 */
export class MirrorQueries {
  readonly #connections: Connections;
  #isChecked = false;

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
  async run(query: MirrorQuery, seconds = statementSeconds): Promise<QueryResult | undefined> {
    return this.#connections.readForeign(seconds, async (session) => {
      if (!this.#isChecked) await checkReader(session);
      this.#isChecked = true;
      const etag = await presentState(session);
      if (etag === undefined || (query.etag !== undefined && query.etag !== etag)) return undefined;
      return { etag, ...(await read(session, query)) };
    });
  }

  close(): Promise<void> {
    return this.#connections.close();
  }
}

/** Undefined if the settings name no user for queries of people. */
export function openMirrorQueries({ reader, ...settings }: PostgresSettings): MirrorQueries | undefined {
  return reader && new MirrorQueries(connectionTo(reader, settings));
}

async function presentState(session: Session): Promise<string | undefined> {
  return (await hasBookkeeping(session)) ? (await readVersion(session))?.state : undefined;
}

/** @throws ConfigurationError if the user is one that could change the mirror */
async function checkReader(session: Session): Promise<void> {
  const { may } = (await session.get<{ may: string }>(
    `SELECT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user)
       OR has_schema_privilege(current_user, $1, 'CREATE')
       OR EXISTS (SELECT 1 FROM pg_catalog.pg_tables WHERE schemaname = $1 AND (pg_has_role(current_user, tableowner, 'MEMBER')
         OR has_table_privilege(current_user, format('%I.%I', schemaname, tablename), 'INSERT, UPDATE, DELETE, TRUNCATE'))) AS may`,
    [session.schema],
  ))!;
  if (may !== 't') return;
  throw new ConfigurationError('The user of POSTGRES_READER_URL could change the mirror.', {
    operation: 'query',
    object: 'POSTGRES_READER_URL',
    hint: 'Create a user for it that may only read: see docs/postgres.md, "Readers".',
  });
}

async function read(session: Session, query: MirrorQuery): Promise<Omit<QueryResult, 'etag'>> {
  const { sql, parameters, maxRows, maxText, whole } = query;
  const rows: Cell[][] = [];
  let columns: string[] | undefined;
  let characters = 0;
  const take = (found: Awaited<ReturnType<Session['foreign']>>): boolean => {
    columns ??= found.columns.map(({ name }) => name);
    for (const row of found.rows) {
      if (rows.length >= maxRows || characters > maxCharacters) return false;
      rows.push(
        row.map((text, n) => {
          const { name, type } = found.columns[n]!;
          const cell = cellOf(text, type);
          const shown = whole.includes(name) ? cell : shortened(cell, maxText);
          characters += typeof shown === 'string' ? shown.length : 8;
          return shown;
        }),
      );
    }
    return true;
  };
  if (direct.test(sql)) {
    const isWhole = take(await session.foreign(sql, parameters));
    return { columns: columns!, rows, isCut: !isWhole };
  }
  await session.foreign(`DECLARE read NO SCROLL CURSOR FOR ${sql}`, parameters);
  for (;;) {
    const wanted = Math.min(fetchedRows, maxRows - rows.length + 1);
    const found = await session.foreign(`FETCH ${wanted} FROM read`);
    if (found.columns.length === 0 && columns === undefined)
      throw new StatementError('The statement brings no rows.');
    if (!take(found)) return { columns: columns!, rows, isCut: true };
    if (found.rows.length < wanted) return { columns: columns!, rows, isCut: false };
  }
}

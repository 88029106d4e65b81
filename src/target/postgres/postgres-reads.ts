import { quoteIdentifier as quote } from '../../schema/sql.ts';
import type { Table } from '../../schema/table.ts';
import { andLive } from '../common/mirror-table.ts';
import type { DisplayName, MirrorReads, NewestRows, SchemaChangeLine } from '../mirror-reads.ts';
import { hasBookkeeping } from './bookkeeping/bookkeeping-tables.ts';
import { readVersion } from './bookkeeping/stored-state.ts';
import type { Connections } from './connection/connections.ts';
import type { Row, Session } from './connection/session.ts';
import { storedColumns } from './schema/stored-columns.ts';

const numberTypes = new Set(['smallint', 'integer', 'bigint', 'numeric', 'double precision']);

/** An instant as ISO 8601 in UTC, as Dataverse writes it. */
function isoText(column: string): string {
  return `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')`;
}

/** What pages read from PostgreSQL. */
export class PostgresReads implements MirrorReads {
  readonly #connections: Connections;

  constructor(connections: Connections) {
    this.#connections = connections;
  }

  /** @returns undefined if there is no mirror */
  #read<T>(work: (session: Session) => Promise<T>): Promise<T | undefined> {
    return this.#connections.read(async (session) =>
      (await hasBookkeeping(session)) ? work(session) : undefined,
    );
  }

  async etag(): Promise<string | undefined> {
    return this.#read(async (session) => (await readVersion(session))?.state);
  }

  async schemaChanges(
    limit: number,
    _databases: readonly (string | undefined)[],
    table?: Pick<Table, 'name'>,
  ): Promise<SchemaChangeLine[]> {
    const found = await this.#read((session) => {
      const from = `${session.name('_sync_schema_changes')} WHERE $1::text IS NULL OR table_name = $1`;
      const sql = `SELECT ${isoText('at')} AS at, table_name, column_name, change, detail FROM ${from}
        ORDER BY place DESC LIMIT $2`;
      return session.all<SchemaChangeLine>(sql, [table?.name ?? null, limit]);
    });
    return found ?? [];
  }

  async displayNames({ name }: Pick<Table, 'name'>): Promise<DisplayName[]> {
    const found = await this.#read((session) =>
      session.all<DisplayName>(
        `SELECT NULL AS column_name, display_name, description FROM ${session.name('_sync_tables')} WHERE table_name = $1
         UNION ALL SELECT column_name, display_name, description FROM ${session.name('_sync_columns')} WHERE table_name = $1`,
        [name],
      ),
    );
    return found ?? [];
  }

  newestRows(
    table: Table,
    { columns, by, since, limit }: NewestRows,
  ): Promise<Record<string, string | number | null>[] | undefined> {
    return this.#read(async (session) => {
      const types = await storedColumns(session, table.name);
      const selected = columns.map((name) => {
        const isInstant = types.get(name) === 'timestamp with time zone';
        return isInstant ? `${isoText(quote(name))} AS ${quote(name)}` : quote(name);
      });
      const rows = await session.all<Row>(
        `SELECT ${selected.join(', ')} FROM ${session.name(table.name)} t
         WHERE t.${quote(by)} >= $1${andLive(table, 't')} ORDER BY t.${quote(by)} DESC LIMIT $2`,
        [since.toISOString(), limit],
      );
      const numbers = columns.filter((name) => numberTypes.has(types.get(name) ?? ''));
      return rows.map((row) => ({
        ...row,
        ...Object.fromEntries(numbers.map((name) => [name, row[name] == null ? null : Number(row[name])])),
      }));
    });
  }
}

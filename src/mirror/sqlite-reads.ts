import { quoteIdentifier as quote } from '../schema/sql.ts';
import type { Table } from '../schema/table.ts';
import type { DisplayName, MirrorReads, NewestRows, SchemaChangeLine } from '../target/mirror-reads.ts';
import type { OpenMirrors } from './open-mirrors.ts';
import type { Value } from './query-result.ts';

/** What pages read from SQLite files. */
export class SqliteReads implements MirrorReads {
  readonly #mirrors: OpenMirrors;

  constructor(mirrors: OpenMirrors) {
    this.#mirrors = mirrors;
  }

  etag(database: string | undefined): Promise<string | undefined> {
    return this.#mirrors.etag(database);
  }

  async schemaChanges(
    limit: number,
    databases: readonly (string | undefined)[],
    table?: Pick<Table, 'name'>,
  ): Promise<SchemaChangeLine[]> {
    const name = table?.name ?? null;
    const sql = `SELECT at, table_name, column_name, change, detail FROM _sync_schema_changes
      WHERE ? IS NULL OR table_name = ? ORDER BY at DESC LIMIT ?`;
    const lists = await Promise.all(
      databases.map((database) => this.#mirrors.query<SchemaChangeLine>(database, sql, [name, name, limit])),
    );
    return lists
      .flatMap((list) => list ?? [])
      .sort((a, b) => (a.at < b.at ? 1 : a.at > b.at ? -1 : 0))
      .slice(0, limit);
  }

  async displayNames({ name, database }: Pick<Table, 'name' | 'database'>): Promise<DisplayName[]> {
    const tables = "SELECT count(*) AS n FROM sqlite_schema WHERE name IN ('_sync_tables', '_sync_columns')";
    const [found] = (await this.#mirrors.query<{ n: number }>(database, tables)) ?? [];
    if (Number(found?.n ?? 0) < 2) return [];
    const sql = `SELECT NULL AS column_name, display_name, description FROM _sync_tables WHERE table_name = ?1
      UNION ALL SELECT column_name, display_name, description FROM _sync_columns WHERE table_name = ?1`;
    return (await this.#mirrors.query<DisplayName>(database, sql, [name])) ?? [];
  }

  newestRows(
    { name, database, columns: all }: Table,
    { columns, by, since, limit }: NewestRows,
  ): Promise<Record<string, Value>[] | undefined> {
    const live = all.some((column) => column.name === '_deleted_at') ? ' AND _deleted_at IS NULL' : '';
    const sql = `SELECT ${columns.map(quote).join(', ')} FROM ${quote(name)}
      WHERE ${quote(by)} >= ?${live} ORDER BY ${quote(by)} DESC LIMIT ?`;
    return this.#mirrors.query(database, sql, [`${since.toISOString().slice(0, 19)}Z`, limit]);
  }
}

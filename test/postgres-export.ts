import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type pg from 'pg';
import { withClient } from './postgres.ts';

type Value = string | number | bigint | Buffer | null;

interface Column {
  name: string;
  type: string;
  isKey: boolean;
}

/**
 * A mirror in PostgreSQL as a SQLite file, with the values that the mirror would have there, so that what compares a file
 * with the truth can be asked about both. It knows nothing of the product's code: it reads the tables as any client would,
 * in one snapshot.
 */
export function exportPostgres(address: string, schema: string): Promise<Buffer> {
  return withClient(address, async (client) => {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const folder = mkdtempSync(join(tmpdir(), 'mirror-'));
    const file = join(folder, 'mirror.db');
    const db = new DatabaseSync(file, { enableForeignKeyConstraints: false });
    try {
      db.exec('PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN');
      await copyTables(client, schema, db);
      db.exec('COMMIT');
      db.close();
      return readFileSync(file);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
}

async function copyTables(client: pg.Client, schema: string, db: DatabaseSync): Promise<void> {
  const found = await client.query(
    `SELECT c.relname AS name, c.relkind AS kind, a.attname AS column, format_type(a.atttypid, a.atttypmod) AS type,
       coalesce(a.attnum = ANY (i.indkey), false) AS key
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
     WHERE n.nspname = $1 AND c.relkind IN ('r', 'v') ORDER BY 1, a.attnum`,
    [schema],
  );
  const tables = Map.groupBy(found.rows, ({ name }) => String(name));
  const references = await indexedReferences(client, schema, new Set(tables.keys()));
  for (const [name, rows] of tables) {
    const columns = rows.map(({ column, type, key }): Column => ({ name: column, type, isKey: key }));
    const definitions = columns.map((column) => {
      const target = references.get(`${name}.${column.name}`);
      return `${quote(column.name)} ${sqliteType(column.type)}${target === undefined ? '' : ` REFERENCES ${quote(target)}`}`;
    });
    const key = columns.filter(({ isKey }) => isKey).map((column) => quote(column.name));
    if (key.length > 0) definitions.push(`PRIMARY KEY (${key.join(', ')})`);
    const isView = rows[0]!.kind === 'v';
    const table = isView ? `rows of ${name}` : name;
    db.exec(`CREATE TABLE ${quote(table)} (${definitions.join(', ')})`);
    if (isView) db.exec(`CREATE VIEW ${quote(name)} AS SELECT * FROM ${quote(table)}`);
    const insert = db.prepare(`INSERT INTO ${quote(table)} VALUES (${columns.map(() => '?').join(', ')})`);
    const selected = columns.map(
      ({ name: column, type }) => `${selectSql(column, type)} AS ${quote(column)}`,
    );
    const values = await client.query({
      text: `SELECT ${selected.join(', ')} FROM ${quote(schema)}.${quote(name)}`,
      rowMode: 'array',
      types: { getTypeParser: () => (value: unknown) => value } as never,
    });
    for (const row of values.rows as (string | null)[][]) {
      insert.run(...row.map((value, index) => sqliteValue(name, columns[index]!, value)));
    }
  }
}

/** The references to one mirrored table whose column has an index, by table and column: SQLite declares these. */
async function indexedReferences(
  client: pg.Client,
  schema: string,
  tables: ReadonlySet<string>,
): Promise<Map<string, string>> {
  if (!tables.has('_sync_foreign_keys')) return new Map();
  const { rows } = await client.query(
    `SELECT k.table_name || '.' || k.column_name AS column, min(k.target_table) AS target
     FROM ${quote(schema)}._sync_foreign_keys k GROUP BY k.table_name, k.column_name HAVING count(*) = 1 AND EXISTS (
       SELECT 1 FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
       JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
       WHERE n.nspname = $1 AND c.relname = k.table_name AND a.attname = k.column_name)`,
    [schema],
  );
  return new Map(
    rows.filter(({ target }) => tables.has(target)).map(({ column, target }) => [column, target]),
  );
}

const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`;

function sqliteType(type: string): string {
  if (/^(?:boolean|smallint|integer|bigint)$/.test(type)) return 'INTEGER';
  return type === 'bytea' ? 'BLOB' : type === 'double precision' ? 'REAL' : type === 'numeric' ? '' : 'TEXT';
}

/** Times in UTC, whatever the server's time zone is. */
function selectSql(column: string, type: string): string {
  const name = quote(column);
  if (type === 'bytea') return `encode(${name}, 'hex')`;
  if (type.startsWith('timestamp'))
    return `to_char(${name} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;
  return `${name}::text`;
}

function sqliteValue(table: string, { name, type }: Column, value: string | null): Value {
  if (value === null) return null;
  if (type === 'bytea') return Buffer.from(value, 'hex');
  if (type === 'boolean') return value === 'true' ? 1 : 0;
  if (sqliteType(type) === 'INTEGER') return BigInt(value);
  if (type === 'double precision') return Number(value);
  if (type === 'numeric') return isExact(value) ? Number(value) : value;
  if (type === 'jsonb') return JSON.stringify(JSON.parse(value));
  if (!type.startsWith('timestamp')) return value;
  // The sync's own times have milliseconds, as JavaScript writes them; Dataverse's have none.
  const isOwn = /^_(?:sync|files)/.test(table) || /^(?:valid_from|valid_to|_deleted_at)$/.test(name);
  return isOwn
    ? value.replace(/\d{3}Z$/, 'Z')
    : value.replace(/\.?0+Z$/, (end) => (end.startsWith('.') ? 'Z' : end));
}

function isExact(text: string): boolean {
  const short = (one: string) => one.replace(/(\.\d*?)0+$/, '$1').replace(/\.$/, '');
  return short(text) === short(String(Number(text))) || Number(text) === 0;
}

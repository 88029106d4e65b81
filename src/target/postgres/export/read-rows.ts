import { quoteIdentifier as quote } from '../../../schema/sql.ts';
import type { Table } from '../../../schema/table.ts';
import type { ChangedRow, RowsPage, RowsRequest } from '../../changes.ts';
import { exportedColumns } from '../../common/exported-columns.ts';
import { andLive } from '../../common/mirror-table.ts';
import { hasChanges } from '../bookkeeping/changes-table.ts';
import { placementOf } from '../cluster/placements.ts';
import type { Row, Session } from '../connection/session.ts';
import { storedColumns } from '../schema/stored-columns.ts';

/** One page of the rows of a table, for an export. Values are the texts of PostgreSQL, times those of UTC. */
export async function readRows(
  session: Session,
  table: Table,
  { rows, from, until, maxRows }: RowsRequest,
): Promise<RowsPage | undefined> {
  const columns = exportedColumns(table);
  const types = await storedColumns(session, table.name);
  const keyType = types.get(table.primaryKey);
  if (keyType === undefined) return undefined;
  const values = columns.map(({ name }, index) => {
    const value = types.has(name) ? `t.${quote(name)}` : 'NULL::text';
    return `${value} AS c${index}`;
  });
  const key = `t.${quote(table.primaryKey)}`;
  const name = session.name(table.name);
  const changed = session.name('_sync_changed');
  let found: Row[];
  if ('changed' in rows) {
    const ids = `SELECT id FROM ${changed} WHERE entity = $1 AND generation > $2 AND generation <= $3 AND id > $4
      AND ($6::text IS NULL OR id <= $6::text) ORDER BY id LIMIT $5`;
    // Citus would bring the whole table here for an outer join.
    const rowsOfPage =
      (await placementOf(session, table.name)) === 'local'
        ? name
        : `(SELECT * FROM ${name} r WHERE r.${quote(table.primaryKey)} IN (SELECT p.id::${keyType} FROM (${ids}) p))`;
    found = await session.all(
      `SELECT c.id AS id, (${key} IS NOT NULL${andLive(table, 't')})::text AS live, ${values.join(', ')}
       FROM (${ids}) c LEFT JOIN ${rowsOfPage} t ON ${key} = c.id::${keyType} ORDER BY c.id`,
      [table.logicalName, rows.changed.after, rows.changed.upTo, from ?? '*', maxRows, until ?? null],
    );
  } else {
    // An outer join, which Citus has, instead of NOT EXISTS. To PostgreSQL it is the same.
    const later = (await hasChanges(session))
      ? {
          join: `LEFT JOIN (SELECT c.id FROM ${changed} c WHERE c.entity = $2 AND c.generation > $3) later ON later.id = ${key}::text`,
          condition: 'AND later.id IS NULL',
        }
      : { join: '', condition: 'AND ($2::text IS NULL OR $3::bigint IS NOT NULL)' };
    const after = from === undefined ? 'AND $4::text IS NULL' : `AND ${key} > $4::text::${keyType}`;
    const end = until === undefined ? 'AND $5::text IS NULL' : `AND ${key} <= $5::text::${keyType}`;
    found = await session.all(
      `SELECT ${key}::text AS id, 'true' AS live, ${values.join(', ')} FROM ${name} t ${later.join}
       WHERE true ${after} ${end} ${andLive(table, 't')} ${later.condition} ORDER BY ${key} LIMIT $1`,
      [maxRows, table.logicalName, rows.all.upTo, from ?? null, until ?? null],
    );
  }
  const page = {
    table,
    rows: found.map(
      (row): ChangedRow =>
        row['live'] === 'true'
          ? { id: row['id']!, values: columns.map((_, index) => row[`c${index}`] ?? null) }
          : { id: row['id']! },
    ),
  };
  return found.length < maxRows ? page : { ...page, next: found.at(-1)!['id']! };
}

import { columnTypes } from '../../../schema/column-types.ts';
import { quoteIdentifier as quote } from '../../../schema/sql.ts';
import type { ForeignKey, Table } from '../../../schema/table.ts';
import { andLive, liveRows } from '../../common/mirror-table.ts';
import type { Closure } from '../../mirror-target.ts';
import { readPlacements } from '../cluster/placements.ts';
import type { Session } from '../connection/session.ts';
import { hasTable } from '../schema/stored-columns.ts';

const needed = 'pg_temp.closure_needed';

/**
 * What filtered tables lack and what they no longer need. A row of a filtered table belongs to the mirror if a chain of
 * foreign keys leads to it from a row of another table, as in a first sync.
 */
export async function findClosure(
  session: Session,
  tables: readonly Table[],
  filtered: ReadonlySet<string>,
  withPresent: ReadonlySet<string>,
): Promise<Closure> {
  const present = new Set<Table>();
  for (const table of tables) if (await hasTable(session, table.name)) present.add(table);
  const idType = tables.every((table) => areGuids(table, filtered)) ? 'uuid' : 'text';
  await session.run(
    `CREATE TEMP TABLE closure_needed (entity text, id ${idType}, depth integer, PRIMARY KEY (entity, id)) ON COMMIT DROP`,
  );
  for (const table of present) {
    if (!filtered.has(table.logicalName)) await addReferences(session, table, filtered, idType, 0);
  }
  await session.run(`ANALYZE ${needed}`);
  for (let depth = 1; ; depth++) {
    const found = await session.get(`SELECT 1 AS one FROM ${needed} WHERE depth = $1 LIMIT 1`, [depth - 1]);
    if (found === undefined) break;
    for (const table of present) {
      if (filtered.has(table.logicalName)) await addReferences(session, table, filtered, idType, depth);
    }
  }
  const closure = {
    missing: new Map<string, string[]>(),
    present: new Map<string, string[]>(),
    unneeded: new Map(),
  };
  const placements = await readPlacements(session);
  for (const table of tables) {
    const { logicalName } = table;
    if (!filtered.has(logicalName)) continue;
    const ids = async (sql: string): Promise<string[]> =>
      (await session.all<{ id: string }>(`${sql} ORDER BY 1`, [logicalName])).map(({ id }) => id);
    const ofTable = `SELECT n.id::text COLLATE "C" AS id FROM ${needed} n WHERE n.entity = $1`;
    if (!present.has(table)) {
      closure.missing.set(logicalName, await ids(ofTable));
      continue;
    }
    // Rows that are marked as deleted count as absent, and stay.
    const name = session.name(table.name);
    const key = `t.${quote(table.primaryKey)}`;
    const id = idType === 'text' ? `${key}::text` : key;
    const rows = `SELECT ${id} AS id FROM ${name} t${liveRows(table)}`;
    // Citus has no anti-join of a table of the cluster with one of this connection: the keys come here first.
    const isPlaced = placements.has(table.name);
    const first = isPlaced ? `WITH present AS MATERIALIZED (${rows}) ` : '';
    const isPresent = isPlaced
      ? 'EXISTS (SELECT 1 FROM present p WHERE p.id = n.id)'
      : `EXISTS (SELECT 1 FROM ${name} t WHERE ${id} = n.id${andLive(table, 't')})`;
    closure.missing.set(logicalName, await ids(`${first}${ofTable} AND NOT ${isPresent}`));
    if (withPresent.has(logicalName))
      closure.present.set(logicalName, await ids(`${first}${ofTable} AND ${isPresent}`));
    closure.unneeded.set(
      logicalName,
      await ids(
        `${first}SELECT t.id::text COLLATE "C" AS id FROM ${isPlaced ? 'present' : `(${rows})`} t
         WHERE NOT EXISTS (SELECT 1 FROM ${needed} n WHERE n.entity = $1 AND n.id = t.id)`,
      ),
    );
  }
  await session.run(`DROP TABLE ${needed}`);
  return closure;
}

/** Whether the ids that the closure compares in this table are GUIDs, as they are in all but virtual tables. */
function areGuids(table: Table, filtered: ReadonlySet<string>): boolean {
  const isGuid = (name: string) => table.columns.find((column) => column.name === name)?.reading === 'guid';
  const columns = referencesTo(table, filtered).map(({ column }) => column);
  if (filtered.has(table.logicalName)) columns.push(table.primaryKey);
  return columns.every(isGuid) && columnTypes.guid.id === true;
}

function referencesTo(table: Table, filtered: ReadonlySet<string>): ForeignKey[] {
  return table.foreignKeys.filter(({ targets }) => targets.some((target) => filtered.has(target)));
}

/**
 * Adds the ids of filtered tables that rows of `table` refer to.
 * @param depth the length of the chains: 0 for those of all rows, otherwise of the rows at the length before
 */
async function addReferences(
  session: Session,
  table: Table,
  filtered: ReadonlySet<string>,
  idType: 'uuid' | 'text',
  depth: number,
): Promise<void> {
  const cast = (expression: string): string => (idType === 'text' ? `${expression}::text` : expression);
  for (const key of referencesTo(table, filtered)) {
    for (const target of key.targets) {
      if (!filtered.has(target)) continue;
      const column = `t.${quote(key.column)}`;
      const conditions = [`${column} IS NOT NULL${andLive(table, 't')}`];
      const parameters: (string | number)[] = [target, depth];
      // Without a recorded target every possible one is taken.
      if (key.typeColumn !== undefined) {
        conditions.push(`(t.${quote(key.typeColumn)} IS NULL OR t.${quote(key.typeColumn)} = $1)`);
      }
      if (depth > 0) {
        conditions.push(`${cast(`t.${quote(table.primaryKey)}`)} IN (
          SELECT n.id FROM ${needed} n WHERE n.entity = $3 AND n.depth = $2::integer - 1)`);
        parameters.push(table.logicalName);
      }
      await session.run(
        `INSERT INTO ${needed} SELECT DISTINCT $1::text, ${cast(column)}, $2::integer FROM ${session.name(table.name)} t
         WHERE ${conditions.join(' AND ')} ON CONFLICT DO NOTHING`,
        parameters,
      );
    }
  }
}

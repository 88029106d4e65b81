import { ConfigurationError, RetriableError } from '../../../errors.ts';
import { quoteText } from '../../../schema/sql.ts';
import { type State, tablesOf } from '../../state.ts';
import { metaNames, writeMeta } from '../bookkeeping/bookkeeping-tables.ts';
import { readState } from '../bookkeeping/stored-state.ts';
import type { Connections } from '../connection/connections.ts';
import type { Session } from '../connection/session.ts';
import { refreshViews } from '../labels/choices.ts';
import { lockPlaces } from './move-lock.ts';
import { dropLeftovers, isHistoryElsewhere, placeTable, tablesWithLeftovers } from './place-table.ts';
import { type Placement, type Placements, prepareCluster, readPlacements } from './placements.ts';
import { waitForUnfinished } from './unfinished-commits.ts';

/**
 * The process ends with a function that takes too long (`functionTimeout`), and would begin again. So each statement of a move
 * ends after so many seconds, of which a table with a history has four. No move begins later than that after the first one.
 * The next run goes on.
 */
const moveSeconds = 60;
const beginSeconds = 60;
/** Nothing else begins later: each table can wait two minutes for a writer, as the next run may have begun. */
const allSeconds = 300;

/** Where a table belongs. One that was distributed stays so: its rows would move to and fro. */
export function wantedPlacement(
  rows: number,
  now: Placement | undefined,
  limit: number,
): Exclude<Placement, 'local'> {
  return rows >= limit || now === 'distributed' ? 'distributed' : 'reference';
}

/** The logical names of tables that belong elsewhere, or whose history or labels do: somebody can have moved a table. */
async function misplaced(
  session: Session,
  { entities }: State,
  placements: Placements,
  limit: number,
): Promise<string[]> {
  const found: string[] = [];
  for (const [logicalName, { table, rows }] of Object.entries(entities)) {
    const now = placements.get(table.name);
    const isPlaced =
      wantedPlacement(rows, now, limit) === now &&
      placements.has('_choices') &&
      !(await isHistoryElsewhere(session, table, placements));
    if (!isPlaced) found.push(logicalName);
  }
  return found;
}

/**
 * Puts each table of the mirror where it belongs on a cluster, in a transaction of its own: those with many rows are
 * distributed, the others have copies on every node. What fails is tried again after the next run.
 * @param limit rows of a table that is distributed
 * @throws ConfigurationError if the database has no Citus; the first error of a table, after the others were tried
 */
export async function arrangeTables(connections: Connections, limit: number): Promise<void> {
  const found = await connections.read(async (session) => {
    const { state, etag } = await readState(session);
    if (etag === undefined) return undefined;
    if (!session.isOfCluster) throw noCluster(session);
    const placements = await readPlacements(session);
    return misplaced(session, state, placements, limit);
  });
  if (found === undefined) return;
  const begun = Date.now();
  const isWithin = (seconds: number) => Date.now() < begun + seconds * 1000;
  let error: unknown;
  const attempt = async (work: (session: Session) => Promise<void>): Promise<void> => {
    try {
      await inTransaction(connections, work);
    } catch (failure) {
      error ??= failure;
    }
  };
  for (const logicalName of found) {
    if (isWithin(beginSeconds)) await attempt((session) => arrange(session, logicalName, limit));
  }
  for (const table of await connections.read(tablesWithLeftovers)) {
    if (isWithin(allSeconds)) await attempt((session) => dropLeftovers(session, table));
  }
  if (isWithin(allSeconds)) await attempt(noteBytes);
  if (error !== undefined) throw error;
}

function inTransaction(connections: Connections, work: (session: Session) => Promise<void>): Promise<void> {
  return connections.write(async (session, commit) => {
    await prepareCluster(session);
    await waitForUnfinished(session);
    await session.run(`SET LOCAL statement_timeout = '${moveSeconds}s'`);
    await work(session);
    await commit();
  });
}

/** Another writer may have changed the table meanwhile. */
async function arrange(session: Session, logicalName: string, limit: number): Promise<void> {
  await lockPlaces(session);
  const { state } = await readState(session);
  const known = state.entities[logicalName];
  if (known === undefined) return;
  const { table, rows } = known;
  const now = (await readPlacements(session)).get(table.name);
  const isPlaced = await session
    .about(logicalName, () => placeTable(session, table, wantedPlacement(rows, now, limit)))
    .catch((error: unknown) => {
      throw isTimeOver(error) ? tooLong(session.name(table.name), table.primaryKey) : error;
    });
  // Which names a view can look up depends on where the tables are.
  if (isPlaced) await refreshViews(session, tablesOf(state));
}

/** A transaction that changes rows cannot ask for the size of tables on several nodes. */
async function noteBytes(session: Session): Promise<void> {
  const bytes = await session.number(
    `SELECT coalesce(sum(pg_catalog.citus_total_relation_size(c.oid, fail_on_error => false)), 0) AS bytes
     FROM pg_catalog.pg_dist_partition p JOIN pg_catalog.pg_class c ON c.oid = p.logicalrelid
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1`,
    [session.schema],
  );
  await writeMeta(session, metaNames.clusterBytes, String(bytes));
}

const isTimeOver = (error: unknown): boolean =>
  error instanceof RetriableError && error.cause instanceof Error && error.cause.message === '57014';

function tooLong(table: string, key: string): ConfigurationError {
  return new ConfigurationError(`Moving ${table} takes longer than ${moveSeconds} seconds.`, {
    operation: 'distribute',
    object: table,
    hint: `Move it by hand, while no run is live: SELECT create_distributed_table(${quoteText(table)}, ${quoteText(key)}). See docs/postgres.md, "On a cluster".`,
  });
}

function noCluster({ schema }: Session): ConfigurationError {
  return new ConfigurationError('POSTGRES_DISTRIBUTE is set, and the database has no Citus.', {
    operation: 'distribute the tables of',
    object: schema,
    hint: 'Use a cluster, such as an elastic cluster of Azure Database for PostgreSQL, and run CREATE EXTENSION citus in the database of the mirror; or remove POSTGRES_DISTRIBUTE.',
  });
}

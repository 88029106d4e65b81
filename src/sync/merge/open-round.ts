import type { SqliteDatabase } from '../../sqlite/sqlite-database.ts';
import { readStateTable } from '../../target/sqlite/bookkeeping.ts';
import type { Catalog } from '../documents/catalog.ts';
import { readCachedState } from '../documents/load-state.ts';
import type { RoundPlan } from '../documents/plan.ts';
import type { TableReport } from '../documents/report.ts';
import type { SyncServices } from '../documents/services.ts';
import { emptyState, type State } from '../documents/state.ts';

/** A round while it is merged: the database in memory, what is known of its tables, and what the merge finds out. */
export interface OpenRound {
  services: SyncServices;
  plan: RoundPlan;
  catalog: Catalog;
  db: SqliteDatabase;
  /** Of the state of the blob that the database was read from; undefined where there is none yet. */
  etag: string | undefined;
  /** The instant of the merge: ISO 8601, UTC. */
  at: string;
  state: State;
  stateEtag: string | undefined;
  reports: TableReport[];
  /** Ids that the next round fetches, by logical name. */
  next: Map<string, Set<string>>;
  /** Logical names of the tables whose rows or schema this round changed. */
  changed: Set<string>;
  danglingReferences: number | undefined;
}

/** Opens a round on a database, with the state as that has it unless `state.json` describes this very database. */
export async function openRound(
  services: SyncServices,
  plan: RoundPlan,
  catalog: Catalog,
  database: { db: SqliteDatabase; etag: string | undefined },
): Promise<OpenRound> {
  const cached = await readCachedState(services);
  const current = cached !== undefined && cached.value.databaseEtag === database.etag;
  return {
    services,
    plan,
    catalog,
    ...database,
    at: services.now().toISOString(),
    state: current ? cached.value : { ...emptyState(), ...readStateTable(database.db) },
    stateEtag: cached?.etag,
    reports: [],
    next: new Map(),
    changed: new Set(),
    danglingReferences: undefined,
  };
}

/** Notes ids that the next round fetches. */
export function askFor(round: OpenRound, name: string, ids: Iterable<string>): void {
  const asked = round.next.get(name) ?? new Set();
  for (const id of ids) asked.add(id);
  round.next.set(name, asked);
}

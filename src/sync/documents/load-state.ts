import { ConflictError } from '../../errors.ts';
import { readStateTable } from '../../target/sqlite/bookkeeping.ts';
import type { SyncServices } from './services.ts';
import { emptyState, type LoadedState, type State, stateName } from './state.ts';

/** `state.json` as it stands, whatever database it belongs to. */
export function readCachedState(services: SyncServices): Promise<{ value: State; etag: string } | undefined> {
  return services.published.read<State>(stateName);
}

/**
 * The state as it belongs to the database that stands in Blob storage. `state.json` carries the ETag of the
 * database it describes; where that is another one (a restored copy, a crash between the two writes), the state
 * is rebuilt from the database itself, and cursors are then as old as the rows they stand beside.
 */
export async function loadState(services: SyncServices): Promise<LoadedState> {
  const [cached, databaseEtag] = await Promise.all([
    readCachedState(services),
    services.databaseBlob.currentEtag(),
  ]);
  if (cached !== undefined && cached.value.databaseEtag === databaseEtag) {
    return { state: cached.value, etag: cached.etag };
  }
  if (databaseEtag === undefined) return { state: emptyState(), etag: cached?.etag };
  services.telemetry.log(
    'warn',
    'state.json does not belong to the database; the state is read from the database.',
    {},
  );
  const { db, etag } = await services.database.open();
  const state: State = {
    ...emptyState(),
    ...(db.get("SELECT 1 FROM sqlite_master WHERE name = '_sync_state'") === undefined
      ? {}
      : readStateTable(db)),
    ...(etag === undefined ? {} : { databaseEtag: etag }),
    databaseBytes: db.byteLength,
  };
  services.database.putBack(db, etag);
  return { state, etag: cached?.etag };
}

/** Writes `state.json` unless somebody else did in between. @throws ConflictError */
export async function saveState(
  services: SyncServices,
  state: State,
  etag: string | undefined,
): Promise<void> {
  if (etag !== undefined) {
    await services.published.replaceIfUnchanged(stateName, state, etag);
    return;
  }
  if (!(await services.published.createIfAbsent(stateName, state))) {
    throw new ConflictError('state.json was written by somebody else first.', { object: stateName });
  }
}

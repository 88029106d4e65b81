import { ConflictError } from '../../errors.ts';
import type { DocumentStore } from '../../storage/document-store.ts';
import type { LoadedState, State } from '../state.ts';
import { currentTableState } from './tables/earlier-state.ts';

/** The state beside the database. It names the database that it describes by its ETag. */
export const stateName = 'state.json';

export async function readStateFile(documents: DocumentStore): Promise<LoadedState | undefined> {
  const found = await documents.read<State>(stateName);
  if (found === undefined) return undefined;
  const { value: state, etag } = found;
  for (const [name, table] of Object.entries(state.entities)) state.entities[name] = currentTableState(table);
  return { state, etag };
}

/** @throws ConflictError if another writer has changed the file since it was loaded */
export async function saveStateFile(documents: DocumentStore, { state, etag }: LoadedState): Promise<void> {
  if (etag !== undefined) await documents.replaceIfUnchanged(stateName, state, etag);
  else if (!(await documents.createIfAbsent(stateName, state))) {
    throw new ConflictError(`Another writer created ${stateName} first.`, { object: stateName });
  }
}

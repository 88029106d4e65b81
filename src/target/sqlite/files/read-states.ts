import { databasePattern } from '../../../config/entities.ts';
import { emptyState, type State } from '../../state.ts';
import { combineStates, type FilePart } from './combine-states.ts';
import { combinedEtag, type Databases } from './databases.ts';
import { stateOfFile } from './state-of-file.ts';

/** Without a state of files with another default one: its tables would be looked for in this one. */
export function ofTheseFiles(state: State | undefined, defaultName: string): State | undefined {
  const { databases, entities = {} } = state ?? {};
  const hasDefault = databases === undefined || Object.hasOwn(databases, defaultName);
  const needsDefault = Object.values(entities).some(({ table }) => table.database === undefined);
  return hasDefault || !needsDefault ? state : undefined;
}

/** Adds the ETags of files that exist. Names that entities.json cannot give were written by another program. */
export async function addEtags(
  databases: Databases,
  etags: Map<string, string>,
  names: readonly string[],
): Promise<void> {
  const isNew = (name: string) =>
    databases.hasNamed && !etags.has(name) && name !== databases.defaultName && databasePattern.test(name);
  const found = await Promise.all(
    [...new Set(names)]
      .filter(isNew)
      .map(async (name) => [name, await databases.file(name).currentEtag()] as const),
  );
  for (const [name, etag] of found) if (etag !== undefined) etags.set(name, etag);
}

/**
 * The state of the files: of those that are as `state.json` describes them from there, of the others from themselves.
 * @param etags of the files by name. Those that turn out to exist are added
 */
export async function readStates(
  databases: Databases,
  described: State | undefined,
  etags: Map<string, string>,
): Promise<State> {
  const { defaultName } = databases;
  const parts = new Map<string, FilePart>();
  for (const [name, etag] of etags) {
    const known =
      described?.databases === undefined && name === defaultName
        ? { etag: described?.databaseEtag, bytes: described?.databaseBytes ?? 0 }
        : described?.databases?.[name];
    if (described !== undefined && known?.etag === etag) {
      const state = stateOfFile(
        { ...described, databases: described.databases ?? {} },
        [],
        name === defaultName ? undefined : name,
      );
      parts.set(name, { name, state, database: { ...known, etag }, isRead: false });
      continue;
    }
    const read = await databases.get(name, etags.size).read(async ({ work, etag: current, length }) => ({
      ...(await work.describe()),
      etag: current!,
      bytes: length,
    }));
    if (read === undefined) continue;
    const { state, databases: others, dangling, bytes } = read;
    const database = { etag: read.etag, bytes, dangling };
    parts.set(name, { name, state, database, isRead: true });
    // The iteration goes on with those that it did not know.
    await addEtags(databases, etags, others);
  }
  const found = [...parts.values()];
  const [only] = found;
  if (only === undefined) return emptyState();
  if (found.length === 1 && only.name === defaultName && described?.databases === undefined)
    return { ...only.state, databaseEtag: only.database.etag };
  const present = new Map(found.map(({ name, database }) => [name, database.etag]));
  const combined = combineStates(described, found, defaultName);
  return { ...combined, databaseEtag: combinedEtag(present, defaultName) };
}

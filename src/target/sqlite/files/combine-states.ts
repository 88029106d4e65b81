import type { DatabaseState, State, TableState } from '../../state.ts';
import { sourceOf } from '../../state.ts';

/** What is known of one of several files. */
export interface FilePart {
  name: string;
  /** The state that belongs to its rows. */
  state: State;
  database: DatabaseState;
  /** Whether the state was read from the file, and not from `state.json`. */
  isRead: boolean;
}

/** Rows of another organisation must not stay beside those of this one. */
const otherOrganization = 'another database file is of another organisation';

/**
 * The state of several files, of which some are not as `state.json` describes them: after a restore of one of them, or a
 * crash between two commits. Each file decides about its own tables. What was true of all files together is found out
 * again: the metadata where the files do not agree, and what filtered tables lack.
 * @param saved the state in `state.json`; undefined if that cannot be used
 * @param defaultName the name of the database whose tables have none
 */
export function combineStates(
  saved: State | undefined,
  parts: readonly FilePart[],
  defaultName: string,
): State {
  const ordered = [...parts].sort((a, b) => Number(a.isRead) - Number(b.isRead));
  const entities: Record<string, TableState> = {};
  const leftovers = new Map<string, NonNullable<State['leftovers']>[number]>();
  const isKept = ({ database = defaultName }: { database?: string }) =>
    parts.some(({ name, isRead }) => name === database && !isRead);
  for (const table of saved?.leftovers ?? []) {
    if (isKept(table)) leftovers.set(`${table.database} ${table.logicalName}`, table);
  }
  const { organizationId } = saved ?? ordered.at(-1)?.state ?? {};
  for (const { name, state } of ordered) {
    const isOther = [organizationId, state.organizationId].every((id) => id !== undefined)
      ? organizationId !== state.organizationId
      : false;
    for (const [logicalName, known] of Object.entries(state.entities)) {
      const { database: _, ...table } = known.table;
      const placed: TableState = {
        ...known,
        table: name === defaultName ? table : { ...table, database: name },
        ...(isOther && { reread: known.reread ?? otherOrganization }),
      };
      const other = entities[logicalName];
      const isLater = other === undefined || placed.syncedAt >= other.syncedAt;
      if (isLater) entities[logicalName] = placed;
      const left = isLater ? other : placed;
      if (left !== undefined) leftovers.set(`${left.table.database} ${logicalName}`, left.table);
    }
  }
  const states = [
    ...(saved !== undefined && parts.some(({ isRead }) => !isRead) ? [saved] : []),
    ...parts.filter(({ isRead }) => isRead).map(({ state }) => state),
  ];
  const agreed = <T>(of: (state: State) => T): T | undefined => {
    const values = new Set(states.map((state) => JSON.stringify(of(state))));
    return values.size === 1 ? of(states[0]!) : undefined;
  };
  const hasFiltered = Object.values(entities).some(({ strategy }) => strategy === 'filtered');
  return {
    ...agreed(sourceOf),
    organizationId,
    labelsAgainAt: states.map(({ labelsAgainAt }) => labelsAgainAt).sort()[0],
    choices: agreed(({ choices }) => choices),
    // A file that was restored can have files that the others do not tell of.
    files: saved?.files && { entities: saved.files.entities },
    closureOpen: hasFiltered,
    databases: Object.fromEntries(parts.map(({ name, database }) => [name, database])),
    databaseBytes: parts.reduce((sum, { database }) => sum + database.bytes, 0),
    ...(leftovers.size > 0 && { leftovers: [...leftovers.values()] }),
    entities,
    pendingLog: (saved?.pendingLog ?? []).filter(({ name }) => {
      const known = entities[name];
      return known !== undefined && isKept(known.table);
    }),
  };
}

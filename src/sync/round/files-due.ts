import type { State } from '../../target/state.ts';
import type { RoundPlan } from '../documents/plan.ts';

/** The tables whose files a run mirrors, in order; in a narrow run also those outside of it. */
export function tablesWithFiles(plan: Pick<RoundPlan, 'entities' | 'narrow'> | undefined): string[] {
  const { entities = {}, narrow } = plan ?? {};
  if (narrow !== undefined) return narrow.withFiles;
  return Object.keys(entities)
    .filter((name) => entities[name]!.config.files)
    .sort();
}

/** Those of `names` that the mirror has: not a table whose first read failed. */
export function mirroredOf({ entities }: State, names: readonly string[]): string[] {
  return names.filter((name) => Object.hasOwn(entities, name));
}

/**
 * Whether the mirror changed since all its files were there, or the files of other tables are wanted. Of several databases,
 * those count that have files or tables with files.
 */
export function areFilesDue(state: State, names: readonly string[]): boolean {
  const { files, databaseEtag, databases, entities } = state;
  const mirrored = mirroredOf(state, names);
  if (mirrored.length === 0 && (files?.entities.length ?? 0) === 0) return false;
  if (files?.entities.join() !== mirrored.join()) return true;
  if (databases === undefined) return files.etag !== databaseEtag;
  const compared = files.databases;
  if (compared === undefined) return true;
  const isElsewhere = (place: string | undefined) => place !== undefined && !Object.hasOwn(compared, place);
  if (mirrored.some((name) => isElsewhere(entities[name]!.table.database))) return true;
  return Object.entries(compared).some(([name, etag]) => databases[name]?.etag !== etag);
}

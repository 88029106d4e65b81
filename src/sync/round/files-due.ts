import type { State } from '../../target/state.ts';
import type { RoundPlan } from '../documents/plan.ts';

/** The tables of a run whose files are mirrored, in order. */
export function tablesWithFiles(plan: Pick<RoundPlan, 'entities'> | undefined): string[] {
  const { entities = {} } = plan ?? {};
  return Object.keys(entities)
    .filter((name) => entities[name]!.config.files)
    .sort();
}

/** Whether the mirror changed since all its files were there, or the files of other tables are wanted. */
export function areFilesDue({ files, databaseEtag }: State, names: readonly string[]): boolean {
  if (names.length === 0 && (files?.entities.length ?? 0) === 0) return false;
  return files?.etag !== databaseEtag || files?.entities.join() !== names.join();
}

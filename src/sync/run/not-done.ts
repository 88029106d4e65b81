import type { State } from '../../target/state.ts';
import type { TableReport } from '../documents/report.ts';
import type { RunDocument } from '../documents/run.ts';

/**
 * What a person allowed for a run that ended without doing it. Later runs do not repeat it: meanwhile other rows may have
 * vanished from Dataverse, and a table may be needed again.
 * @param reports of the run's tables
 * @param state after the run, if there is one
 */
export function notDoneOf(
  { allowMassDelete = [], dropTables = [] }: RunDocument,
  reports: readonly TableReport[],
  state: State | undefined,
): RunDocument['notDone'] {
  const merged = new Set(reports.filter(({ state }) => state === 'merged').map(({ name }) => name));
  const notDone = {
    allowMassDelete: allowMassDelete.filter((name) => !merged.has(name)),
    dropTables: dropTables.filter((name) => state !== undefined && Object.hasOwn(state.entities, name)),
  };
  return notDone.allowMassDelete.length + notDone.dropTables.length > 0 ? notDone : undefined;
}

/** What the person can do about it. */
export function notDoneHint(notDone: RunDocument['notDone']): string | undefined {
  if (notDone === undefined) return undefined;
  const options = Object.entries(notDone).filter(([, names]) => names.length > 0);
  const body = JSON.stringify(Object.fromEntries(options));
  return `The run did not use all that was allowed for it, and later runs do not. Send it again if it is still right: POST /api/sync with ${body}.`;
}

import type { RunStatus } from '../sync/run/run-status.ts';

export function isOver({ phase }: RunStatus): boolean {
  return phase === 'complete' || phase === 'failed' || phase === 'abandoned';
}

/** Whether the run completed and no table has an error. */
export function isSuccess({ phase, entities: tables }: RunStatus): boolean {
  return (
    phase === 'complete' && tables.every(({ state, error }) => state !== 'failed' && error === undefined)
  );
}

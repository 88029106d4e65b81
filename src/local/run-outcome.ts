import type { RunStatus } from '../sync/run/run-status.ts';

export function isOver({ phase }: RunStatus): boolean {
  return phase === 'complete' || phase === 'failed' || phase === 'abandoned';
}

/** Whether the run did all that it was asked for. */
export function isSuccess({ phase, entities }: RunStatus): boolean {
  return (
    phase === 'complete' && entities.every(({ state, error }) => state !== 'failed' && error === undefined)
  );
}

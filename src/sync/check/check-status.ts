import type { CheckProgress } from '../../target/mirror-check.ts';
import type { SyncServices } from '../documents/services.ts';
import { damageHint } from './announce-check.ts';
import { type CheckDocument, readCheck, readStoredCheck, type StoredCheck } from './check-document.ts';

/** The latest check, for people and programs: how far it is, or how it ended. */
export interface CheckStatus
  extends Pick<
    CheckDocument,
    'checkId' | 'trigger' | 'state' | 'startedAt' | 'updatedAt' | 'finishedAt' | 'error' | 'hint'
  > {
  /** Of a check that is running. */
  progress?: Pick<CheckProgress, 'phase' | 'bytes' | 'references' | 'catchUps'>;
}

export interface Checks {
  /** The latest check that was started; null if there was none. */
  check: CheckStatus | null;
  /** What the last complete check found; null if there was none. With faults, `hint` says what to do. */
  checked: (StoredCheck & { hint?: string }) | null;
}

/** The latest check and the result of the last complete one. */
export async function checkStatus(services: Pick<SyncServices, 'work' | 'published'>): Promise<Checks> {
  const [found, checked] = await Promise.all([readCheck(services), readStoredCheck(services)]);
  const hint = checked && damageHint(checked);
  return {
    check: found?.value ? statusOf(found.value) : null,
    checked: checked ? { ...checked, ...(hint !== undefined && { hint }) } : null,
  };
}

function statusOf({ checkId, trigger, state, startedAt, updatedAt, ...check }: CheckDocument): CheckStatus {
  const { finishedAt, error, hint, progress } = check;
  const known = { checkId, trigger, state, startedAt, updatedAt, finishedAt, error, hint };
  if (state !== 'running' || progress === undefined) return known;
  const { phase, bytes, references, catchUps } = progress;
  return { ...known, progress: { phase, bytes, references, catchUps } };
}

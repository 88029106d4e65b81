import type { FoundOutcome } from '../../mirror-target.ts';
import type { OpenFile, OpenFiles } from './open-files.ts';

/** An outcome as it is stored where a transaction can change several files: each is committed for itself. */
interface SplitOutcome {
  /** The names of the files that the transaction changed. */
  files: string[];
  /** The instant of the merge: ISO 8601, UTC. */
  at: string;
  outcome: unknown;
}

export function splitOutcome(files: readonly string[], at: string, outcome: unknown): SplitOutcome {
  return { files: [...files], at, outcome };
}

function isSplitOutcome(value: unknown): value is SplitOutcome {
  return Array.isArray((value as Partial<SplitOutcome> | undefined)?.files);
}

/** See `MirrorTransaction.findOutcome`. */
export async function findOutcome(
  files: OpenFiles,
  isOwn: (outcome: unknown) => boolean,
): Promise<FoundOutcome | undefined> {
  const own = new Map<string, SplitOutcome>();
  const look = ({ name, lastOutcome }: OpenFile): void => {
    const split = isSplitOutcome(lastOutcome) ? lastOutcome : splitOutcome([name], '', lastOutcome);
    if (isOwn(split.outcome)) own.set(name, split);
  };
  for (const file of files.opened) look(file);
  if (own.size === 0) return undefined;
  // A file that only a part of the attempts changed counts, too.
  const expected = () => new Set([...own.values()].flatMap((one) => one.files));
  for (const name of expected()) if (!files.has(name)) look(await files.get(name));
  const latest = [...own.values()].sort((a, b) => (a.at < b.at ? 1 : -1))[0]!;
  return {
    outcome: latest.outcome,
    isComplete: [...expected()].every((name) => own.has(name)),
    of: (table) => own.get(files.nameOf(table))?.outcome,
  };
}

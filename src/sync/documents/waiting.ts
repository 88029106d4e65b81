/** `rounds/{n}/{entity}/waiting.json`: a table that continues later, because Dataverse asked to wait. */
import type { Wait } from './messages.ts';
import { paths } from './paths.ts';
import type { SyncServices } from './services.ts';

export interface WaitingTable extends Wait {
  /** The slice that waits. */
  slice: number;
  /** What Dataverse said. */
  reason: string;
}

/** Notes that a table waits. The note is also a sign of life: a run that waits is not stale. */
export async function storeWaiting(
  services: SyncServices,
  message: { runId: string; round: number; entity: string },
  waiting: WaitingTable,
): Promise<void> {
  await services.work.put(paths.waiting(message.runId, message.round, message.entity), waiting);
}

/** Since when and until when a table waits; undefined if it does not, because its slice was read meanwhile. */
export async function readWaiting(
  services: SyncServices,
  runId: string,
  round: number,
  entity: string,
): Promise<WaitingTable | undefined> {
  const stored = await services.work.read<WaitingTable>(paths.waiting(runId, round, entity));
  if (stored === undefined) return undefined;
  const isDone = (await services.documents.slice(runId, round, entity, stored.value.slice)) !== undefined;
  return isDone ? undefined : stored.value;
}

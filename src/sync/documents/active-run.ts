import { DamagedDocumentError } from '../../storage/document-store.ts';
import { paths } from './paths.ts';
import { type ActiveRun, runFormat } from './run.ts';
import { isActiveRun } from './run-shape.ts';
import type { SyncServices } from './services.ts';

/** The live run, with the ETag of `active.json`; undefined if none is. */
export async function readActive(
  services: SyncServices,
): Promise<{ value: ActiveRun; etag: string } | undefined> {
  const claimed = await readClaim(services);
  return claimed?.value.released ? undefined : claimed;
}

/**
 * What `active.json` says: which run is live, or which one left a request when it was released. A damaged document counts
 * as a run of another version of the app: the next start abandons it.
 */
export async function readClaim(
  services: SyncServices,
): Promise<{ value: ActiveRun; etag: string } | undefined> {
  try {
    const found = await services.work.read<ActiveRun>(paths.active);
    return found && { value: isActiveRun(found.value) ? found.value : damaged, etag: found.etag };
  } catch (error) {
    if (error instanceof DamagedDocumentError) return { value: damaged, etag: error.etag };
    throw error;
  }
}

const damaged: ActiveRun = { runId: 'damaged', startedAt: new Date(0).toISOString(), resumptions: 0 };

/** Whether the messages of a run are still to be handled. Messages of other runs are dropped. */
export async function isLive(services: SyncServices, runId: string): Promise<boolean> {
  return (await readLive(services, runId)) !== undefined;
}

/** The claim of a run whose messages are still to be handled. */
export async function readLive(services: SyncServices, runId: string): Promise<ActiveRun | undefined> {
  const active = (await readActive(services))?.value;
  return active?.runId === runId && active.format === runFormat ? active : undefined;
}

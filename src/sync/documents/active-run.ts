import { paths } from './paths.ts';
import type { ActiveRun } from './run.ts';
import type { SyncServices } from './services.ts';

/** Which run is live, with the ETag of that claim. */
export function readActive(services: SyncServices): Promise<{ value: ActiveRun; etag: string } | undefined> {
  return services.work.read<ActiveRun>(paths.active);
}

/** Whether this run is the live one. Messages of any other run are dropped: their run is over or was given up. */
export async function isLive(services: SyncServices, runId: string): Promise<boolean> {
  return (await readActive(services))?.value.runId === runId;
}

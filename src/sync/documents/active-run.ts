import { paths } from './paths.ts';
import { type ActiveRun, runFormat } from './run.ts';
import type { SyncServices } from './services.ts';

/** The live run, with the ETag of `active.json`. */
export function readActive(services: SyncServices): Promise<{ value: ActiveRun; etag: string } | undefined> {
  return services.work.read<ActiveRun>(paths.active);
}

/** Whether the messages of a run are still to be handled. Messages of other runs are dropped. */
export async function isLive(services: SyncServices, runId: string): Promise<boolean> {
  const active = (await readActive(services))?.value;
  return active !== undefined && active.runId === runId && active.format === runFormat;
}

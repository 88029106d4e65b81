import { describeForLog } from '../../errors.ts';
import type { Tracking } from '../../target/changes.ts';
import type { State } from '../../target/state.ts';
import type { SyncServices } from '../documents/services.ts';
import { secondsLeft } from './claim-export.ts';
import { exportedPoints, readExport } from './export-document.ts';

/**
 * At the end of a run: requests an export if the mirror is not exported as it is. Never throws: a run does not fail because of
 * an export, and the next run requests it again.
 * @param state as it was saved last, if the caller has it
 */
export async function requestExport(
  services: SyncServices,
  runId: string,
  state: State | undefined,
): Promise<void> {
  if (services.lake === undefined) return;
  try {
    const { databaseEtag } = state ?? (await services.mirror.lastState()) ?? {};
    if (databaseEtag === undefined) return;
    const { value } = await readExport(services);
    // A live export looks for news when it is done.
    if (value.etag === databaseEtag || secondsLeft(services, value) > 0) return;
    await services.sendExport({ runId });
  } catch (error) {
    const message = `The export to the lake could not be requested: ${describeForLog(error)}`;
    services.telemetry.log('warn', message, { runId });
  }
}

/** What a merge notes for the export. */
export async function trackingOf(services: SyncServices): Promise<Tracking> {
  if (services.lake === undefined) return 'off';
  return { exported: exportedPoints((await readExport(services)).value) };
}

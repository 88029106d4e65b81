import { describeForLog, SyncError } from '../../errors.ts';
import type { SyncServices } from '../documents/services.ts';

/** Brings tables to where they belong, after a run. Logs a failure: the next run tries again. */
export async function arrangeMirror({ mirror, telemetry }: SyncServices, runId: string): Promise<void> {
  try {
    await mirror.arrange?.();
  } catch (error) {
    const message = `Tables are not where POSTGRES_DISTRIBUTE says: ${describeForLog(error)}`;
    const hint = error instanceof SyncError ? error.hint : undefined;
    telemetry.log('warn', message, { runId, hint });
  }
}

import { describeForLog } from '../../errors.ts';
import type { FetchMessage } from '../documents/messages.ts';
import type { SyncServices } from '../documents/services.ts';

/** Gives a shard to the mirror ahead of the merge. A failure is logged: the merge reads the shard itself then. */
export async function stageShard(
  services: SyncServices,
  { runId, round, entity }: FetchMessage,
  name: string,
  bytes: Uint8Array,
): Promise<void> {
  const { documents, mirror, telemetry } = services;
  if (mirror.stageShard === undefined) return;
  try {
    const { catalog } = (await documents.plan(runId, round))!;
    const { tables } = await documents.catalog(catalog);
    await mirror.stageShard({ runId, table: tables[entity]!, name, bytes });
  } catch (error) {
    const message = `Rows of ${entity} are loaded with the merge, which takes longer: ${describeForLog(error)}`;
    telemetry.log('warn', message, { runId, round, entity });
  }
}

/** Drops what the mirror took ahead for a run that is over, or for all other runs. Logs a failure: the next run tries again. */
export async function dropStaged(
  services: SyncServices,
  runId: string,
  whose: 'own' | 'others',
): Promise<void> {
  try {
    await services.mirror.dropStaged?.(runId, whose);
  } catch (error) {
    const message = `Rows that were loaded ahead of a merge could not be deleted: ${describeForLog(error)}`;
    services.telemetry.log('warn', message, { runId });
  }
}

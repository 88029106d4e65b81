import { DamagedDocumentError, unlessDamaged } from '../../storage/document-store.ts';
import { paths } from '../documents/paths.ts';
import { bothRereads, type RereadRequest, type RunDocument } from '../documents/run.ts';
import type { SyncServices } from '../documents/services.ts';

/*
 * The merge of round 1 notes in the state what a run was asked to read again. A run that ends before that leaves its
 * request in `reread.json` for the next run. Reading a table once more than asked costs requests and nothing else, so a
 * crash between two steps repeats the request rather than losing it.
 */

interface KeptReread {
  reread: RereadRequest;
}

/** Keeps the request of a run that ends, unless the run has noted it in the state. Can be repeated. */
export async function keepReread(services: SyncServices, { runId, reread }: RunDocument): Promise<void> {
  if (reread === undefined || reread.length === 0) return;
  if ((await unlessDamaged(services.documents.merged(runId, 1))) !== undefined) return;
  const kept = await readKept(services);
  const all: KeptReread = { reread: bothRereads(kept?.value.reread, reread)! };
  await services.work.put(paths.keptReread, all);
}

/**
 * Creates `run.json` with what earlier runs left to read again, unless it exists. Then what they left stays for the run
 * after this one. A narrow run leaves it as well: it reads other tables.
 * @returns what it created, undefined if it existed
 */
export async function createRun(services: SyncServices, run: RunDocument): Promise<RunDocument | undefined> {
  const { work, telemetry } = services;
  const kept = run.tables === undefined ? await readKept(services) : undefined;
  const reread = bothRereads(kept?.value.reread, run.reread);
  const created = { ...run, reread };
  const isCreated = await work.createIfAbsent(paths.run(run.runId), created);
  if (!isCreated) return undefined;
  if (kept === undefined) return created;
  const { runId } = run;
  const names = kept.value.reread === 'all' ? 'all tables' : kept.value.reread.join(', ');
  telemetry.log('info', `An earlier run was asked to read ${names} again and did not. This run does.`, {
    runId,
  });
  await work.deleteIfUnchanged(paths.keptReread, kept.etag);
  return created;
}

/** A damaged request counts as one for all tables: reading too much loses nothing. */
async function readKept({ work }: SyncServices): Promise<{ value: KeptReread; etag: string } | undefined> {
  try {
    const found = await work.read<KeptReread>(paths.keptReread);
    return found && { value: isKept(found.value) ? found.value : { reread: 'all' }, etag: found.etag };
  } catch (error) {
    if (error instanceof DamagedDocumentError) return { value: { reread: 'all' }, etag: error.etag };
    throw error;
  }
}

function isKept(value: unknown): value is KeptReread {
  const { reread } = Object(value) as Record<string, unknown>;
  return reread === 'all' || (Array.isArray(reread) && reread.every((name) => typeof name === 'string'));
}

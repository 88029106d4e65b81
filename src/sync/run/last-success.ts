import { DamagedDocumentError } from '../../storage/document-store.ts';
import { paths } from '../documents/paths.ts';
import { isNarrowRun, type RunDocument } from '../documents/run.ts';
import { isRunDocument, isRunId } from '../documents/run-shape.ts';
import type { SyncServices } from '../documents/services.ts';

/** How many of the latest runs are looked at. */
const maxRuns = 5;

/**
 * When the latest run of all tables that is complete and has no failed table ended: ISO 8601, UTC. Undefined if none of the last few is.
 * Costs one listing and at most five reads.
 */
export async function lastSuccess(services: Pick<SyncServices, 'work'>): Promise<string | undefined> {
  const ids: string[] = [];
  for await (const runId of services.work.folders('runs/')) {
    // A narrow run says nothing about the other tables.
    if (isRunId(runId) && !isNarrowRun(runId)) ids.push(runId);
  }
  for (const runId of ids.sort().reverse().slice(0, maxRuns)) {
    const run = await readRun(services, runId);
    const hasFailed = run?.entities?.some(({ state }) => state === 'failed') ?? false;
    if (run?.phase === 'complete' && !hasFailed) return run.finishedAt;
  }
  return undefined;
}

/** A damaged document is none: GET /api/sync says what is wrong with it. */
async function readRun(
  { work }: Pick<SyncServices, 'work'>,
  runId: string,
): Promise<RunDocument | undefined> {
  try {
    const value = (await work.read(paths.run(runId)))?.value;
    return isRunDocument(value, runId) ? value : undefined;
  } catch (error) {
    if (error instanceof DamagedDocumentError) return undefined;
    throw error;
  }
}

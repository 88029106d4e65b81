import { ConfigurationError, ConflictError } from '../../errors.ts';
import type { DatabaseVersion } from '../../storage/database/database-versions.ts';
import type { RestoredVersion } from '../../storage/database/restore-version.ts';
import { DamagedDocumentError, type DocumentStore, unlessDamaged } from '../../storage/document-store.ts';
import { paths } from '../documents/paths.ts';
import type { ActiveRun, RunDocument } from '../documents/run.ts';
import { isRunDocument, isRunId } from '../documents/run-shape.ts';

/** What a restore works with. */
export interface RestoreServices {
  /** The file. */
  name: string;
  /** The name of the database in reports of runs. */
  database: string;
  /** The container of runs. */
  work: DocumentStore;
  listVersions(): Promise<DatabaseVersion[]>;
  restore(version: DatabaseVersion, expected: string | undefined): Promise<RestoredVersion>;
}

/** A state of the database, with the run that committed it, if its report is still there. */
export interface ListedVersion extends DatabaseVersion {
  runId?: string;
}

/** The states that can be restored and the present one, newest first. */
export async function listVersions({
  work,
  database,
  listVersions,
}: RestoreServices): Promise<ListedVersion[]> {
  const versions = await listVersions();
  const wanted = new Set(versions.map(({ etag }) => etag));
  const runOf = new Map<string, string>();
  for await (const runId of work.folders('runs/')) {
    if (!isRunId(runId)) continue;
    const run = (await unlessDamaged(work.read<RunDocument>(paths.run(runId))))?.value;
    if (!isRunDocument(run, runId)) continue;
    const etag = run.databases === undefined ? run.database?.etag : run.databases[database]?.etag;
    if (etag !== undefined && wanted.has(etag)) runOf.set(etag, runId);
  }
  return versions.map((one) => ({ ...one, runId: runOf.get(one.etag) }));
}

export interface RestoreResult extends RestoredVersion {
  /** The state that is the present one now. */
  version: DatabaseVersion;
  /** It was the present one before. */
  isUnchanged: boolean;
}

/**
 * Makes the newest state that was committed at or before `at` the present one. Its cursors are in the database, and
 * state.json names another ETag from now on, so the next run continues from there. A run that starts meanwhile and has read
 * from later cursors ends as failed, see merge/check-basis.ts.
 * @throws ConfigurationError if there is no such state; ConflictError if a run is live, or another writer commits
 */
export async function restoreDatabase(services: RestoreServices, at: Date): Promise<RestoreResult> {
  const live = await liveRun(services.work);
  if (live !== undefined) {
    throw new ConflictError(`Run ${live} is live. Nothing was restored.`, {
      operation: 'restore',
      object: paths.active,
      hint: 'Wait until it is over: GET /api/sync shows it. POST /api/sync with {"resume": true} resumes a run that is stuck.',
    });
  }
  const versions = await services.listVersions();
  const version = versions.find(({ committedAt }) => committedAt <= at);
  if (version === undefined) throw noneAt(at, versions);
  const current = versions.find(({ kind }) => kind === 'current');
  if (version === current) {
    const none = { blocks: 0, stagedBlocks: 0, stagedBytes: 0 };
    return { version, etag: current.etag, ...none, isUnchanged: true };
  }
  const restored = await services.restore(version, current?.etag);
  return { version, ...restored, isUnchanged: restored.etag === current?.etag };
}

/** A damaged document counts as a live run: the next start ends it. A run that was released is over. */
async function liveRun(work: DocumentStore): Promise<string | undefined> {
  try {
    const found = await work.read<Partial<ActiveRun> | null>(paths.active);
    if (found === undefined || found.value?.released === true) return undefined;
    return found.value?.runId ?? 'damaged';
  } catch (error) {
    if (error instanceof DamagedDocumentError) return 'damaged';
    throw error;
  }
}

function noneAt(at: Date, versions: readonly DatabaseVersion[]): ConfigurationError {
  const oldest = versions.at(-1)?.committedAt.toISOString();
  return new ConfigurationError(`No state of the database from ${at.toISOString()} or before is kept.`, {
    operation: 'restore',
    hint:
      oldest === undefined
        ? 'There is no database, and the account keeps no version of one.'
        : `The oldest one is from ${oldest}. SYNC_KEEP_VERSIONS, or versioning of the storage account, decides how many are kept.`,
  });
}

import { describeForLog } from '../../errors.ts';
import { forEachConcurrently } from '../../storage/for-each-concurrently.ts';
import type { FetchedFile, FileKey, WantedFile } from '../../target/mirror-target.ts';
import { comparedFiles, type DatabaseReport, type LoadedState, type State } from '../../target/state.ts';
import { paths } from '../documents/paths.ts';
import { addCommits, type FileFigures } from '../documents/report.ts';
import type { SyncServices } from '../documents/services.ts';
import { areFilesDue, mirroredOf, tablesWithFiles } from '../round/files-due.ts';
import { downloadFile } from './download-file.ts';

/** How many files are fetched at the same time. */
const concurrency = 8;

/** `runs/{runId}/rounds/files.json`: how far the files of a run are, for runs whose files take several invocations. */
interface FilesProgress extends FileFigures {
  /** The key of the last file that this run tried; files go in the order of their keys. */
  after: string;
  /** What was committed so far. */
  database?: DatabaseReport;
}

export interface FilesResult {
  /** Whether files are left, because the time of an invocation is spent. */
  isPartial: boolean;
  /** The figures of the run so far; absent if no file had to be fetched or removed. */
  files?: FileFigures;
  database?: DatabaseReport;
}

/**
 * Fetches the contents of file and image columns (`files: true`) into blobs beside the database, and links them in
 * `_files`, after the rows are committed. A file whose id did not change is not fetched again. A file that no row
 * shows is removed. A file that cannot be fetched does not fail the run: `_files` keeps the error, or the next run
 * tries again.
 */
export async function fetchFiles(
  services: SyncServices,
  runId: string,
  state: State | undefined,
): Promise<FilesResult> {
  const names = tablesWithFiles(await services.documents.plan(runId, 1));
  if (state === undefined || !areFilesDue(state, names)) return { isPartial: false };
  try {
    const name = paths.files(runId);
    const before = (await services.work.read<FilesProgress>(name))?.value;
    const { progress, isPartial } = await fetchSome(services, runId, names, before ?? noProgress);
    await services.work.put(name, progress);
    const { after: _, database, ...files } = progress;
    return { isPartial, files, database };
  } catch (error) {
    // The rows are committed. The next run fetches the files.
    services.telemetry.log('error', `The contents of files could not be fetched: ${describeForLog(error)}`, {
      runId,
    });
    return { isPartial: false };
  }
}

const noProgress: FilesProgress = { fetched: 0, bytes: 0, failed: 0, removed: 0, after: '' };

async function fetchSome(
  services: SyncServices,
  runId: string,
  names: string[],
  before: FilesProgress,
): Promise<{ progress: FilesProgress; isPartial: boolean }> {
  const loaded = await services.mirror.loadState();
  if (loaded.state.databaseEtag === undefined) return { progress: before, isPartial: false };
  const at = services.now().toISOString();
  const options = { loaded, runId, at, synced: [], incomingBytes: 0 };
  let comparison: Parameters<typeof comparedFiles>[0] | undefined;
  const result = await services.mirror.transaction(options, async (mirror) => {
    const entities = mirroredOf(mirror.state, names);
    const tables = entities.map((name) => mirror.state.entities[name]!.table);
    const { wanted, unwanted, databases } = await mirror.compareFiles(tables);
    // Blobs first: after a crash in between, `_files` names blobs that do not exist, and they are removed again.
    await forEachConcurrently(unwanted, concurrency, async ({ blob }) => {
      if (blob !== null) await services.files.remove(blob);
    });
    const todo = wanted.filter((file) => keyOf(file) > before.after);
    todo.sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
    const tried = await fetchInTime(services, todo);
    const fetched = tried.filter((file) => file !== undefined);
    const isPartial = tried.length < todo.length;
    let database: DatabaseReport | undefined;
    if (fetched.length > 0 || unwanted.length > 0) {
      await mirror.writeFiles(fetched, unwanted, services.now().toISOString());
      const after = isPartial ? undefined : await mirror.compareFiles(tables);
      const files = {
        entities,
        areComplete: after?.wanted.length === 0,
        databases: (after ?? { databases }).databases,
      };
      ({ database } = await mirror.commit({ files }));
    } else {
      const areComplete = wanted.length === 0;
      comparison = { entities, areComplete, databases };
    }
    const good = fetched.filter(({ error }) => error === null);
    const progress = {
      fetched: before.fetched + good.length,
      bytes: before.bytes + good.reduce((sum, file) => sum + file.bytes, 0),
      failed: before.failed + tried.length - good.length,
      removed: before.removed + unwanted.length,
      database: database === undefined ? before.database : addCommits(before.database, database),
      after: tried.length === 0 ? before.after : keyOf(todo[tried.length - 1]!),
    };
    return { progress, isPartial };
  });
  // Once the transaction is over: it may keep other writers of the state out.
  if (comparison !== undefined) await saveComparison(services, loaded, comparison);
  return result;
}

/** Saves that no file had to be written, without a commit: it would upload blocks in every idle run. */
async function saveComparison(
  { mirror }: SyncServices,
  { state, etag }: LoadedState,
  comparison: Parameters<typeof comparedFiles>[0],
): Promise<void> {
  const files = comparedFiles(comparison, state);
  if (JSON.stringify(files) === JSON.stringify(state.files)) return;
  await mirror.saveState({ state: { ...state, files }, etag });
}

const keyOf = ({ table, rowId, column }: FileKey): string => `${table}/${rowId}/${column}`;

/** Fetches files in order until the time of a slice is spent; undefined stands for a file to be tried again. */
async function fetchInTime(
  services: SyncServices,
  files: readonly WantedFile[],
): Promise<(FetchedFile | undefined)[]> {
  const began = performance.now();
  const results: (FetchedFile | undefined)[] = [];
  const limit = services.settings.sync.sliceSeconds * 1000;
  const inTime = function* () {
    for (const [index, file] of files.entries()) {
      if (index > 0 && performance.now() - began > limit) return;
      results.push(undefined);
      yield { index, file };
    }
  };
  await forEachConcurrently(inTime(), concurrency, async ({ index, file }) => {
    results[index] = await downloadFile(services, file);
  });
  return results;
}

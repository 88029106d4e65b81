import { ConfigurationError, describeError, RetriableError } from '../../errors.ts';
import { eachOf } from '../../storage/each-of.ts';
import {
  createFileTable,
  type FetchedFile,
  removeFile,
  unwantedFiles,
  type WantedFile,
  wantedFiles,
  writeFile,
} from '../../target/sqlite/file-table.ts';
import { loadState, readCachedState, saveState } from '../documents/load-state.ts';
import { paths } from '../documents/paths.ts';
import type { DatabaseReport, FileFigures } from '../documents/report.ts';
import type { SyncServices } from '../documents/services.ts';
import type { State } from '../documents/state.ts';
import { addCommits } from '../run/run-report.ts';

/** Files that are fetched at the same time. */
const concurrency = 8;

/** `runs/{runId}/rounds/files.json`: how far the files of a run are, so that a long fetching spans invocations. */
interface FilesProgress extends FileFigures {
  /** The files up to this one were tried in this run. */
  after: string;
  /** What was committed so far. */
  database?: DatabaseReport;
}

/**
 * Fetches the contents of file and image columns (`files: true`) into blobs beside the database and links them in
 * `_files`, after the rows are committed: a file whose id did not change is not fetched again, one whose row is gone is
 * removed. A file that cannot be had is noted in `_files`, or tried again by the next run where the fault may pass;
 * it is never a reason for the run to fail.
 * @returns `more` when the time of one invocation is spent; the figures of the run so far, where there are files
 */
export async function fetchFiles(
  services: SyncServices,
  runId: string,
): Promise<{ more: boolean; figures?: FileFigures; database?: DatabaseReport }> {
  const names = await tablesWithFiles(services, runId);
  const state = (await readCachedState(services))?.value;
  if (state === undefined || !isDue(state, names)) return { more: false };
  try {
    const before = (await services.work.read<FilesProgress>(progressName(runId)))?.value;
    const { progress, more } = await fetchSome(services, names, before ?? noProgress());
    await services.work.put(progressName(runId), progress);
    const { after: _, database, ...figures } = progress;
    return { more, figures, ...(database === undefined ? {} : { database }) };
  } catch (error) {
    // The rows are committed; the next run takes up the files.
    services.telemetry.log('error', 'The contents of files could not be fetched.', {
      runId,
      reason: describeError(error).message,
    });
    return { more: false };
  }
}

const progressName = (runId: string): string => `${paths.roundsFolder(runId)}files.json`;
const noProgress = (): FilesProgress => ({ fetched: 0, bytes: 0, failed: 0, removed: 0, after: '' });

async function tablesWithFiles(services: SyncServices, runId: string): Promise<string[]> {
  const plan = await services.documents.plan(runId, 1);
  return Object.values(plan?.entities ?? {})
    .filter(({ config }) => config.files)
    .map(({ config }) => config.name)
    .sort();
}

/** Whether the database changed since all its files were there, or other tables' files are wanted. */
function isDue(state: State, names: readonly string[]): boolean {
  if (names.length === 0 && (state.files?.entities.length ?? 0) === 0) return false;
  return state.files?.etag !== state.databaseEtag || state.files?.entities.join() !== names.join();
}

async function fetchSome(
  services: SyncServices,
  names: readonly string[],
  before: FilesProgress,
): Promise<{ progress: FilesProgress; more: boolean }> {
  const { state, etag: stateEtag } = await loadState(services);
  const tables = names.flatMap((name) => state.entities[name]?.table ?? []);
  const { db, etag } = await services.database.open();
  if (etag === undefined) {
    db.close();
    return { progress: before, more: false };
  }
  let kept = false;
  try {
    createFileTable(db);
    const gone = unwantedFiles(db, tables);
    // Blobs first: a crash then leaves rows of blobs that are gone, and the next time finds them again.
    await eachOf(gone, concurrency, async ({ blob }) => {
      if (blob !== null) await services.files.remove(blob);
    });
    const todo = wantedFiles(db, tables).filter((file) => keyOf(file) > before.after);
    todo.sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
    const tried = await fetchAll(services, todo);
    const done = tried.filter((file) => file !== undefined);
    const at = services.now().toISOString();
    db.transaction(() => {
      for (const file of gone) removeFile(db, file);
      for (const file of done) writeFile(db, file, at);
    });
    const bytes = db.export();
    const committed = await services.databaseBlob.commit(bytes, { etag });
    const { blocks: _, ...staged } = committed;
    const database = addCommits(before.database, { bytes: bytes.byteLength, ...staged })!;
    const more = tried.length < todo.length;
    const whole = !more && wantedFiles(db, tables).length === 0;
    await saveState(
      services,
      {
        ...state,
        databaseEtag: committed.etag,
        databaseBytes: bytes.byteLength,
        files: { entities: [...names], ...(whole ? { etag: committed.etag } : {}) },
      },
      stateEtag,
    );
    services.database.putBack(db, committed.etag);
    kept = true;
    const failed = tried.length - done.length + done.filter(({ error }) => error !== null).length;
    return {
      more,
      progress: {
        fetched: before.fetched + done.filter(({ error }) => error === null).length,
        bytes: before.bytes + done.reduce((sum, file) => sum + file.bytes, 0),
        failed: before.failed + failed,
        removed: before.removed + gone.length,
        database,
        after: tried.length === 0 ? before.after : keyOf(todo[tried.length - 1]!),
      },
    };
  } finally {
    if (!kept) db.close();
  }
}

const keyOf = ({ table, rowId, column }: WantedFile): string => `${table}/${rowId}/${column}`;

/** Fetches files in order until the time of a slice is spent; undefined stands for one to be tried again. */
async function fetchAll(
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
  await eachOf(inTime(), concurrency, async ({ index, file }) => {
    results[index] = await fetchOne(services, file);
  });
  return results;
}

async function fetchOne(services: SyncServices, file: WantedFile): Promise<FetchedFile | undefined> {
  const name = `files/${file.table}/${file.rowId}/${file.column}`;
  const place = { entitySet: file.table, id: file.rowId, column: file.column };
  try {
    const bytes =
      file.kind === 'image'
        ? await storeImage(services, name, place)
        : await store(services, name, services.dataverse.downloadFile(place));
    return { ...file, blob: bytes === 0 ? null : name, bytes, error: null };
  } catch (error) {
    if (error instanceof ConfigurationError) throw error;
    const { message } = describeError(error);
    const again = error instanceof RetriableError;
    services.telemetry.log('warn', `A file of ${file.table} could not be fetched.`, {
      column: file.column,
      rowId: file.rowId,
      again,
      reason: message,
    });
    return again ? undefined : { ...file, blob: null, bytes: 0, error: message };
  }
}

/** The picture itself, or its thumbnail, where the column keeps no more than that. */
async function storeImage(
  services: SyncServices,
  name: string,
  place: { entitySet: string; id: string; column: string },
): Promise<number> {
  const { downloadFile } = services.dataverse;
  try {
    const bytes = await store(services, name, downloadFile(place, { fullSize: true }));
    if (bytes > 0) return bytes;
  } catch (error) {
    if (error instanceof ConfigurationError || error instanceof RetriableError) throw error;
  }
  return store(services, name, downloadFile(place));
}

/** An empty content is no blob. */
async function store(services: SyncServices, name: string, chunks: AsyncGenerator<Buffer>): Promise<number> {
  const first = await chunks.next();
  if (first.done) {
    await services.files.remove(name);
    return 0;
  }
  const all = async function* () {
    yield first.value;
    yield* chunks;
  };
  return services.files.write(name, all());
}

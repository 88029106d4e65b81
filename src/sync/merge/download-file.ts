import { ConfigurationError, describeForLog, RetriableError, SyncError } from '../../errors.ts';
import type { FetchedFile, WantedFile } from '../../target/mirror-target.ts';
import type { SyncServices } from '../documents/services.ts';

/**
 * Downloads the content of a file or image column into a blob.
 * @returns the file with its blob or its error; undefined if another try may succeed
 * @throws ConfigurationError
 */
export async function downloadFile(
  services: SyncServices,
  file: WantedFile,
): Promise<FetchedFile | undefined> {
  try {
    const name = `files/${file.table}/${file.rowId}/${file.column}`;
    const bytes =
      file.kind === 'image' ? await storeImage(services, name, file) : await store(services, name, file);
    return { ...file, blob: bytes === 0 ? null : name, bytes, error: null };
  } catch (error) {
    if (error instanceof ConfigurationError) throw error;
    const again = error instanceof RetriableError;
    const { table, column, rowId } = file;
    const message = `A file of ${table} could not be fetched: ${describeForLog(error)}`;
    services.telemetry.log('warn', message, { column, rowId, again });
    if (again) return undefined;
    const reason = error instanceof SyncError ? error.message : 'An unexpected error; see the log.';
    return { ...file, blob: null, bytes: 0, error: reason };
  }
}

/** The full image, or its thumbnail if the column stores only that. */
async function storeImage(services: SyncServices, name: string, file: WantedFile): Promise<number> {
  try {
    const bytes = await store(services, name, file, { fullSize: true });
    if (bytes > 0) return bytes;
  } catch (error) {
    if (error instanceof ConfigurationError || error instanceof RetriableError) throw error;
  }
  return store(services, name, file);
}

/** @returns the size in bytes; empty content gets no blob */
async function store(
  { dataverse, files }: SyncServices,
  name: string,
  { entitySet, rowId: id, column }: WantedFile,
  options: { fullSize?: boolean } = {},
): Promise<number> {
  const chunks = dataverse.downloadFile({ entitySet, id, column }, options);
  const first = await chunks.next();
  if (first.done) {
    await files.remove(name);
    return 0;
  }
  const all = async function* () {
    yield first.value;
    yield* chunks;
  };
  return files.write(name, all());
}

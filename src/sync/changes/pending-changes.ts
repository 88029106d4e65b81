import { ConflictError } from '../../errors.ts';
import { DamagedDocumentError } from '../../storage/document-store.ts';
import { paths } from '../documents/paths.ts';
import type { SyncServices } from '../documents/services.ts';

/*
 * `changes/{table}.json` says that rows of a table have changed in Dataverse since the last run that read it was started.
 * Each change writes the document again: the start of a run deletes only the version that it has seen, so a change that
 * comes meanwhile waits for the next run.
 */

/** A table that changed, with the version of its document. */
export interface PendingChange {
  /** Logical name; undefined for all tables. */
  table: string | undefined;
  etag: string;
}

/** Notes that rows of these tables changed. @param tables logical names, or all */
export async function storeChanges(
  { work, now, randomId }: SyncServices,
  tables: readonly string[] | 'all',
): Promise<void> {
  const document = { at: now().toISOString(), id: randomId() };
  const names = tables === 'all' ? [paths.allChanged] : tables.map((table) => paths.changed(table));
  for (const name of names) await work.put(name, document);
}

/** The changes that wait for a run. */
export async function pendingChanges({ work }: SyncServices): Promise<PendingChange[]> {
  const pending: PendingChange[] = [];
  for await (const { name } of work.list(paths.changesFolder)) {
    const etag = await etagOf(work, name);
    const [, table] = /^changes\/(\w+)\.json$/.exec(name) ?? [];
    if (etag !== undefined && (table !== undefined || name === paths.allChanged))
      pending.push({ table, etag });
  }
  return pending;
}

/** Deletes the versions of changes that a run has taken over. */
export async function settleChanges(
  { work }: SyncServices,
  changes: readonly PendingChange[],
): Promise<void> {
  for (const { table, etag } of changes) {
    try {
      await work.deleteIfUnchanged(table === undefined ? paths.allChanged : paths.changed(table), etag);
    } catch (error) {
      // Rows have changed since. The next run reads them.
      if (!(error instanceof ConflictError)) throw error;
    }
  }
}

/** The name of a document says everything, so what is in it may be damaged. */
async function etagOf(work: SyncServices['work'], name: string): Promise<string | undefined> {
  try {
    return (await work.read(name))?.etag;
  } catch (error) {
    if (error instanceof DamagedDocumentError) return error.etag;
    throw error;
  }
}

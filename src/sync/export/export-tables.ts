import {
  ConfigurationError,
  ConflictError,
  describeForLog,
  RetriableError,
  SyncError,
} from '../../errors.ts';
import type { LandingZone } from '../../storage/fabric/landing-zone.ts';
import type { MirrorNews, TableNews } from '../../target/changes.ts';
import type { ExportMessage } from '../documents/messages.ts';
import type { SyncServices } from '../documents/services.ts';
import { ExportClaim } from './claim-export.ts';
import { type ExportedTable, exportedPoints } from './export-document.ts';
import { checkFolder, type ExportLimits, exportTable } from './export-table.ts';
import { type Fault, noteFailures } from './note-failures.ts';

/**
 * Writes what changed in the mirror to the lake, as much as `SYNC_SLICE_SECONDS` allow, then requests the rest. One process
 * exports at a time. Can be repeated.
 * @throws RetriableError and unknown errors: the queue delivers the message again
 */
export async function exportTables(
  services: SyncServices,
  { runId }: ExportMessage,
  { redelivered = false, limits }: { redelivered?: boolean; limits?: Partial<ExportLimits> } = {},
): Promise<void> {
  const { lake } = services;
  if (lake === undefined) {
    services.telemetry.log('info', 'There is no landing zone. The message of an export is dropped.', {
      runId,
    });
    return;
  }
  const claim = await ExportClaim.begin(services);
  if (typeof claim === 'number') {
    // The process that holds it looks for news when it is done. If it has died, this message is the only one.
    if (redelivered) await services.sendExport({ runId }, Math.ceil(claim));
    return;
  }
  const faults: Fault[] = [];
  let done: Exported | undefined;
  try {
    done = await exportNews(services, { lake, limits }, claim, faults);
  } catch (error) {
    if (error instanceof ConflictError) {
      services.telemetry.log('info', `Another process exports: ${describeForLog(error)}`, { runId });
      // If the claim is still this one's, the file was its own: the answer to the upload was lost.
      await claim.release().catch(() => undefined);
      throw new RetriableError('Another process exports.', { operation: 'export', cause: error });
    }
    faults.push({ error });
  }
  // After a failure of all of them, nothing new is known of each.
  const untried = done === undefined ? new Set(Object.keys(claim.value.tables)) : done.untried;
  await noteFailures(services, claim, faults, { runId, untried });
  await claim.release();
  // The other tables go on first, whatever one of them cannot be exported for.
  if (done?.isComplete === false) return services.sendExport({ runId });
  const again = faults.find(({ error }) => !isFinal(error));
  if (again !== undefined) throw again.error;
  // A run that was committed meanwhile found this export live, and requested none.
  if (done === undefined || (await services.mirror.loadState()).state.databaseEtag === done.etag) return;
  await services.sendExport({ runId });
}

interface Exported {
  /** Whether nothing is left, but for tables that could not be exported. */
  isComplete: boolean;
  /** The ETag of the mirror; undefined if there is none. */
  etag: string | undefined;
  /** Logical names of tables that are left to the next message. */
  untried?: ReadonlySet<string>;
}

/** Notes that an export failed too often. The next run requests it again. */
export async function failPoisonedExport(services: SyncServices, { runId }: ExportMessage): Promise<void> {
  const failure = {
    error: 'An export to the lake failed repeatedly.',
    hint: `The log of the function app has the error. Search it for ${runId}. The next run tries again.`,
  };
  services.telemetry.log('error', failure.error, { runId, hint: failure.hint });
}

/** Whether a repetition cannot help. */
function isFinal(error: unknown): boolean {
  return error instanceof SyncError && !(error instanceof RetriableError);
}

async function exportNews(
  services: SyncServices,
  { lake, limits }: { lake: LandingZone; limits: Partial<ExportLimits> | undefined },
  claim: ExportClaim,
  faults: Fault[],
): Promise<Exported> {
  const { mirror, settings } = services;
  const until = performance.now() + settings.sync.sliceSeconds * 1000;
  const isTimeOver = () => performance.now() >= until;
  const { tables } = claim.value;
  const found = await mirror.newsSince(exportedPoints(claim.value));
  if (found === undefined) return { isComplete: true, etag: undefined };
  const { etag } = found;
  const isNew = Object.keys(tables).length === 0;
  // Before anything is written: a table that leaves the mirror meanwhile has a folder. After a restore of the mirror nothing
  // tells of what was written later, if this process dies.
  for (const { table, news } of found.tables) {
    const { logicalName, name, database } = table;
    const known: ExportedTable = { ...(tables[logicalName] ?? { folder: name }), database };
    if (news !== 'none' || known.folder !== name) known.isOpen = true;
    tables[logicalName] = known;
  }
  claim.value = { ...claim.value, etag: undefined };
  await claim.renew();
  if (isNew) await lake.introduce();
  const beforeWrite = () => claim.renewIfDue();
  const folders = new Set(found.tables.map(({ table }) => table.name));
  const isTaken = (folder: string) => folders.has(folder);
  const options = { exportId: claim.value.id, lake, isTimeOver, limits, beforeWrite, isTaken };
  let isComplete = true;
  let hasWritten = false;
  /** The fault of the table before, if another try may do. */
  let transient: (Fault & { table: string }) | undefined;
  const failed = new Set(claim.value.failures.map(({ table }) => table));
  const untried = new Set(found.tables.map(({ table }) => table.logicalName));
  for (const news of ordered(found.tables, failed)) {
    const { logicalName, name } = news.table;
    const known = tables[logicalName]!;
    if (news.news === 'none' && known.folder === name && known.isOpen !== true) {
      known.point = news.latest;
      continue;
    }
    // Each message writes a file at least, however long it took to find out what is to be written.
    if (hasWritten && isTimeOver()) return { isComplete: false, etag, untried };
    untried.delete(logicalName);
    try {
      checkFolder(news.table);
      const exported = await exportTable(services, news, known, options);
      hasWritten = true;
      transient = undefined;
      if (exported === undefined) isComplete = false;
      else tables[logicalName] = { ...exported, database: known.database };
    } catch (error) {
      const isTransient = error instanceof RetriableError;
      // What two tables in a row meet, the others would, too.
      const isOfAll = error instanceof ConfigurationError || (isTransient && transient !== undefined);
      if (isOfAll || error instanceof ConflictError) {
        if (transient !== undefined) faults.splice(faults.indexOf(transient), 1);
        throw error;
      }
      const fault = { table: logicalName, error };
      faults.push(fault);
      transient = isTransient ? fault : undefined;
    }
    await claim.renewIfDue();
  }
  // Without another table, nothing shows whether it is about this one.
  if (transient !== undefined && !hasWritten && !failed.has(transient.table)) {
    faults.splice(faults.indexOf(transient), 1);
    throw transient.error;
  }
  await removeTables(lake, claim, found);
  if (isComplete && faults.length === 0) {
    claim.value = { ...claim.value, etag, exportedAt: services.now().toISOString() };
  }
  return { isComplete, etag };
}

/** Changes first: they are few, and all rows of a large table take long. Last what failed before, which may fail again. */
function ordered(tables: readonly TableNews[], failed: ReadonlySet<string | undefined>): TableNews[] {
  const rank = ({ table, news }: TableNews) => (failed.has(table.logicalName) ? 2 : news === 'all' ? 1 : 0);
  return [...tables].sort((a, b) => rank(a) - rank(b));
}

/**
 * Removes the folders of tables that the mirror does not have any more. Of a database whose file is missing that is not known:
 * it can be put back, or written again by the next run.
 */
async function removeTables(lake: LandingZone, claim: ExportClaim, found: MirrorNews): Promise<void> {
  const names = new Set(found.tables.map(({ table }) => table.logicalName));
  const folders = new Set(found.tables.map(({ table }) => table.name));
  for (const [name, { folder, database }] of Object.entries(claim.value.tables)) {
    if (names.has(name) || found.databases?.includes(database) === false) continue;
    // Another table can have its name by now.
    if (!folders.has(folder)) await lake.clear(folder, () => claim.renewIfDue());
    delete claim.value.tables[name];
  }
}

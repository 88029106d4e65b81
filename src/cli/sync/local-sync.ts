import { basename, join, parse } from 'node:path';
import { type TableConfig, withDefaults } from '../../config/entities.ts';
import type { Settings } from '../../config/settings.ts';
import { RetriableError } from '../../errors.ts';
import { databaseNameOf } from '../../storage/database/database-names.ts';
import { FolderStore } from '../../storage/folder/folder-store.ts';
import { LocalDatabase } from '../../storage/folder/local-database.ts';
import { LocalFiles } from '../../storage/folder/local-files.ts';
import type { SyncServices } from '../../sync/documents/services.ts';
import { type RunStatus, runStatus } from '../../sync/run/run-status.ts';
import { type StartOptions, startRun } from '../../sync/run/start-run.ts';
import { createSyncServices } from '../../sync-services.ts';
import type { Telemetry } from '../../telemetry/telemetry.ts';
import { MessageQueue } from './message-queue.ts';

/** How often a run that stopped without an end is resumed. */
const maxResumptions = 3;
/** Milliseconds between two looks at the progress of a run. */
const progressInterval = 250;

/** Where a sync in one process keeps what it keeps. */
export interface LocalPaths {
  /** The database. */
  database: string;
  /** Its state, and the run in progress. */
  state: string;
  /** The contents of file and image columns. */
  files: string;
}

/** `my.db`, `my.db-sync` and `my.db-files`. @param database absolute */
export function localPaths(database: string): LocalPaths {
  return { database, state: `${database}-sync`, files: `${database}-files` };
}

/**
 * The file of a database that `database` in entities.json names: `my-sales.db` beside `my.db`, so that two mirrors in one folder
 * share none.
 */
export function databasePath(database: string, name: string | undefined): string {
  const file = basename(database);
  if (name === undefined || name === databaseNameOf(file)) return database;
  const { dir, name: stem, ext } = parse(database);
  return join(dir, `${stem}-${name}${ext}`);
}

/** The parts of a sync on plain files. @param queue takes the messages of runs */
export async function localServices(
  settings: Settings,
  paths: LocalPaths,
  telemetry: Telemetry,
  queue = new MessageQueue(),
): Promise<SyncServices> {
  const file = basename(paths.database);
  const { databaseMaxBytes: maxBytes } = settings.sync;
  const own = { ...settings, databaseName: file, sync: { ...settings.sync, checkHours: 0 } };
  const fileOf = (name: string | undefined) => {
    const path = databasePath(paths.database, name);
    return new LocalDatabase(path, { maxBytes, nextPath: join(paths.state, `next-${basename(path)}`) });
  };
  const storage = {
    work: new FolderStore(join(paths.state, 'work')),
    published: new FolderStore(join(paths.state, 'published')),
    databaseFile: fileOf(undefined),
    namedFile: fileOf,
    files: new LocalFiles(paths.files),
    ...queue.senders,
  };
  return createSyncServices(own, storage, telemetry);
}

/** A sync that one process does alone, on plain files. */
export class LocalSync {
  readonly #services: SyncServices;
  readonly #queue: MessageQueue;

  private constructor(services: SyncServices, queue: MessageQueue) {
    this.#services = services;
    this.#queue = queue;
  }

  static async open(
    settings: Settings,
    tables: () => TableConfig[],
    paths: LocalPaths,
    telemetry: Telemetry,
  ): Promise<LocalSync> {
    const queue = new MessageQueue();
    const services = await localServices(settings, paths, telemetry, queue);
    return new LocalSync({ ...services, readEntities: () => withDefaults(tables(), settings.sync) }, queue);
  }

  /**
   * Runs a sync to its end. A run that another process left is completed first: `resumed` says so.
   * @param onProgress with the state of the run, from time to time
   * @throws RetriableError if the run stops without an end
   */
  async run(
    options: Pick<StartOptions, 'allowMassDelete' | 'reread' | 'dropTables'>,
    onProgress: (status: RunStatus) => void,
  ): Promise<{ status: RunStatus; resumed: boolean }> {
    const start = () => startRun(this.#services, { trigger: 'command', resume: true, ...options });
    const { runId, outcome } = await start();
    const stopProgress = this.#watch(runId, onProgress);
    try {
      for (let resumptions = 0; resumptions <= maxResumptions; resumptions++) {
        await this.#queue.drain(this.#services);
        const status = await runStatus(this.#services, runId);
        if (status !== undefined && isOver(status)) return { status, resumed: outcome !== 'started' };
        // A message was lost on the way. To resume is safe, and the same run goes on.
        const again = await start();
        if (again.runId !== runId) break;
      }
    } finally {
      await stopProgress();
    }
    throw new RetriableError(`Run ${runId} stopped before its end.`, {
      operation: 'sync',
      object: runId,
      hint: 'Run the command again: it continues.',
    });
  }

  /** Begins to look at a run. @returns what ends that */
  #watch(runId: string, onProgress: (status: RunStatus) => void): () => Promise<void> {
    let looking = Promise.resolve();
    const look = async () => {
      const status = await runStatus(this.#services, runId).catch(() => undefined);
      if (status !== undefined && !isOver(status)) onProgress(status);
    };
    const timer = setInterval(() => {
      looking = looking.then(look);
    }, progressInterval);
    return async () => {
      clearInterval(timer);
      await looking;
    };
  }
}

function isOver({ phase }: RunStatus): boolean {
  return phase === 'complete' || phase === 'failed' || phase === 'abandoned';
}

import { ConflictError, SkipTableError, SyncError } from '../../../errors.ts';
import { SummarizedFile } from '../../../sqlite/check/summarized-file.ts';
import type { Sqlite } from '../../../sqlite/sqlite.ts';
import type { DatabaseFile } from '../../../storage/database/database-file.ts';
import type { DocumentStore } from '../../../storage/document-store.ts';
import type { CheckOptions, CheckProgress, CheckResult, CheckStep } from '../../mirror-check.ts';
import { MirrorDatabase } from '../database/mirror-database.ts';
import { noReferences } from '../rows/reference-batches.ts';
import { checkPages } from './check-pages.ts';
import { CheckedFiguresFile } from './checked-figures.ts';
import { scanPages } from './scan-pages.ts';

export interface SqliteCheckOptions {
  file: DatabaseFile;
  /** The name of the database, unless it is the default one. */
  database?: string | undefined;
  /** Where the figures for the merges are. */
  documents: DocumentStore;
  sqlite: Sqlite;
  /** The greatest size of the database, in bytes. */
  maxBytes: number;
  /** The memory for the database, in bytes. A check takes a part of it: a merge may run in the same process. */
  cacheBytes: number;
  /** See `MirrorDatabaseOptions`. */
  scanRows?: number | undefined;
}

/** The part of the memory that a check takes: it reads in order, so more would help little. */
const cacheShare = 1 / 4;

/** So much is read at once from a storage that answers several requests at the same time. */
const maxBatchBytes = 16 * 1024 * 1024;

/** So many commits can come between the pages and the schema. Each costs the blocks that it changed. */
const maxCatchUps = 50;

/**
 * Checks all of the database of one file in steps, also while runs commit to it. The pages are read from the file's
 * beginning to its end, without SQLite, which would load them one after the other in the order of its trees. Then SQLite
 * counts references along its indexes.
 */
export class SqliteCheck {
  readonly #options: SqliteCheckOptions;
  readonly #figures: CheckedFiguresFile;

  constructor(options: SqliteCheckOptions) {
    this.#options = options;
    this.#figures = new CheckedFiguresFile(options.documents, options.database);
  }

  /**
   * @param before what the step before returned; undefined for the first step
   * @throws SkipTableError if there is no database, SyncError if runs commit faster than the check can follow
   */
  async step(before: CheckProgress | undefined, options: CheckOptions): Promise<CheckStep> {
    const { cacheBytes, ...rest } = this.#options;
    const database = new MirrorDatabase({ ...rest, cacheBytes: cacheBytes * cacheShare });
    const isExpected = before !== undefined || rest.database !== undefined;
    try {
      if (isExpected && (await rest.file.currentEtag()) === undefined) throw missing(rest.database);
      let progress = before ?? firstProgress;
      if (progress.phase === 'pages') progress = await this.#checkPages(database, progress, options);
      if (progress.phase === 'pages') return { progress };
      if (progress.pages!.faultCount > 0) return { progress, result: resultOf(progress) };
      const counted = await countReferences(database, progress, options, before?.phase === 'references');
      if (!counted.isComplete) return { progress: counted.progress };
      const result = resultOf(counted.progress);
      const { dangling } = counted.progress.counted!;
      const recount = result.miscounted.map(({ table }) => table);
      await this.#figures.write({ at: options.startedAt, recount, dangling });
      return { progress: counted.progress, result };
    } finally {
      await database.close();
    }
  }

  async #checkPages(
    database: MirrorDatabase,
    before: CheckProgress,
    { checkpoint, isTimeOver }: CheckOptions,
  ): Promise<CheckProgress> {
    const saved = before.hasCheckpoint ? await checkpoint.load() : undefined;
    const summarized = saved === undefined ? new SummarizedFile() : SummarizedFile.load(saved);
    const { file, cacheBytes } = this.#options;
    const batchBytes = Math.min(maxBatchBytes, cacheBytes * cacheShare);
    let progress = before;
    for (;;) {
      const scan = await scanPages(file, summarized, batchBytes, isTimeOver);
      if (scan === undefined) throw noDatabase();
      const { bytes, changes, complete } = scan;
      progress = { ...progress, bytes, catchUps: progress.catchUps + changes };
      const pages = complete && (await checkPages(database, summarized, complete));
      if (pages !== undefined) return { ...progress, phase: 'references', pages, hasCheckpoint: false };
      if (complete !== undefined) progress = { ...progress, catchUps: progress.catchUps + 1 };
      if (progress.catchUps > maxCatchUps) throw tooManyChanges(progress.catchUps);
      if (complete === undefined || isTimeOver()) {
        await checkpoint.save(summarized.save());
        return { ...progress, hasCheckpoint: true };
      }
    }
  }
}

/** Of a check that has done nothing yet. */
export const firstProgress: CheckProgress = {
  phase: 'pages',
  bytes: { done: 0, total: 0 },
  references: { done: 0, total: 0 },
  catchUps: 0,
  hasCheckpoint: false,
};

/** @param isOwnStep the step has done nothing else yet: it counts one batch in any case */
async function countReferences(
  database: MirrorDatabase,
  before: CheckProgress,
  { isTimeOver }: CheckOptions,
  isOwnStep: boolean,
): Promise<{ progress: CheckProgress; isComplete: boolean }> {
  let progress = before;
  for (let isFirst = isOwnStep; isFirst || !isTimeOver(); isFirst = false) {
    const counted = progress.counted ?? noReferences;
    const batch = await database
      .read(async ({ work, etag }) => work.countReferences(etag!, counted))
      .catch((error: unknown) => {
        // Runs have committed several times while this batch was counted.
        if (error instanceof ConflictError) return 'conflict' as const;
        throw error;
      });
    if (batch === 'conflict') {
      progress = { ...progress, catchUps: progress.catchUps + 1 };
      if (progress.catchUps > maxCatchUps) throw tooManyChanges(progress.catchUps);
      continue;
    }
    if (batch === undefined) throw noDatabase();
    const { counts, total, isComplete } = batch;
    const done = Math.min(counts.done.length, total);
    progress = { ...progress, counted: counts, references: { done, total } };
    if (isComplete) return { progress, isComplete };
  }
  return { progress, isComplete: false };
}

function resultOf({ pages, counted }: CheckProgress): CheckResult {
  const { database, tables, faults, faultCount, freePages, pages: pageCount, miscounted } = pages!;
  const known = { database, tables, pages: pageCount, freePages, faults, faultCount };
  if (counted === undefined) return { ...known, miscounted, uncounted: [] };
  const foreignKeys = Object.values(counted.keys).sort((a, b) => b.count - a.count);
  return {
    ...known,
    miscounted: [...miscounted, ...counted.miscounted],
    uncounted: counted.uncounted,
    danglingReferences: foreignKeys.reduce((sum, { count }) => sum + count, 0),
    foreignKeys,
  };
}

function noDatabase(): SyncError {
  return new SkipTableError('There is no database to check.', { hint: 'Start a sync with POST /api/sync.' });
}

/** @param database its name, unless it is the default one */
function missing(database: string | undefined): SyncError {
  const name = database === undefined ? 'The database' : `The database ${database}`;
  return new SkipTableError(`${name} was deleted before its check was complete.`, {
    operation: 'check the database',
    ...(database !== undefined && { object: database }),
    hint: 'Start a sync with POST /api/sync, which reads its tables again. Then check again with POST /api/verify.',
  });
}

function tooManyChanges(changes: number): SyncError {
  return new SyncError(`Runs changed the database ${changes} times while it was checked.`, {
    operation: 'check the database',
    hint: 'Check it again with POST /api/verify at a time with fewer runs, or raise SYNC_SLICE_SECONDS.',
  });
}

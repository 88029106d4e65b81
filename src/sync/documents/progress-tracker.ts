import type { DocumentStore } from '../../storage/document-store.ts';
import { paths } from './paths.ts';

/** How much of a slice was read. */
export interface Progress {
  /** The number of the slice within its table and round. */
  slice: number;
  rowsRead: number;
  pages: number;
  bytes: number;
}

/**
 * A slice that takes longer says so in storage, for pages that another process makes, and again after this time. Most
 * slices are done before.
 */
const usualMilliseconds = 2000;

interface Tracked {
  progress: Progress;
  /** When it is stored next, of the clock of `performance.now()`. */
  publishAt: number;
}

/**
 * The progress of the slices that this process reads, for status pages. Nothing decides by it. In Azure each group of
 * functions has processes of its own, so what takes long is also written to `progress.json` of the table.
 */
export class ProgressTracker {
  readonly #slices = new Map<string, Tracked>();
  readonly #work: Pick<DocumentStore, 'put'> | undefined;
  readonly #milliseconds: number;

  /**
   * @param work where progress is stored, if other processes show it
   * @param milliseconds how often at most that of one slice is stored
   */
  constructor(work?: Pick<DocumentStore, 'put'>, milliseconds = usualMilliseconds) {
    this.#work = work;
    this.#milliseconds = milliseconds;
  }

  set(runId: string, round: number, entity: string, progress: Progress): void {
    const path = paths.progress(runId, round, entity);
    const now = performance.now();
    const before = this.#slices.get(path);
    const isSame = before?.progress.slice === progress.slice;
    const tracked = { progress, publishAt: isSame ? before.publishAt : now + this.#milliseconds };
    this.#slices.set(path, tracked);
    if (this.#work === undefined || now < tracked.publishAt) return;
    // The next one waits until this one is written.
    tracked.publishAt = Number.POSITIVE_INFINITY;
    const done = (): void => {
      const latest = this.#slices.get(path);
      if (latest?.progress.slice === progress.slice)
        latest.publishAt = performance.now() + this.#milliseconds;
    };
    this.#work.put(path, progress).then(done, done);
  }

  get(runId: string, round: number, entity: string): Progress | undefined {
    return this.#slices.get(paths.progress(runId, round, entity))?.progress;
  }

  clear(runId: string, round: number, entity: string): void {
    this.#slices.delete(paths.progress(runId, round, entity));
  }
}

/** The progress that a stored document says; undefined if it says none. */
export function progressIn(value: unknown): Progress | undefined {
  const { slice, rowsRead, pages, bytes } = (value ?? {}) as Partial<Progress>;
  const progress = { slice, rowsRead, pages, bytes };
  const isWhole = Object.values(progress).every((figure) => Number.isFinite(figure) && figure! >= 0);
  return isWhole ? (progress as Progress) : undefined;
}

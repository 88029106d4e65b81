/** How much of a slice was read. */
export interface Progress {
  rowsRead: number;
  pages: number;
  bytes: number;
}

/**
 * The progress of the slices that this process reads, for status pages. Nothing decides by it. A slice that another
 * instance reads is seen once it is stored.
 */
export class ProgressTracker {
  readonly #slices = new Map<string, Progress>();

  set(runId: string, round: number, entity: string, progress: Progress): void {
    this.#slices.set(key(runId, round, entity), progress);
  }

  get(runId: string, round: number, entity: string): Progress | undefined {
    return this.#slices.get(key(runId, round, entity));
  }

  clear(runId: string, round: number, entity: string): void {
    this.#slices.delete(key(runId, round, entity));
  }
}

const key = (runId: string, round: number, entity: string): string => `${runId}/${round}/${entity}`;

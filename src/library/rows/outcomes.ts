import { dataverseFault } from '../../dataverse/errors/errors.ts';
import type { BatchOutcome } from '../batch/send-batch.ts';
import { toPublicError } from '../client/to-public-error.ts';

/** @internal Collects what became of each row. */
export class Outcomes<T> {
  readonly list: BatchOutcome<T>[];
  readonly #onProgress: OnProgress;
  #settled = 0;

  constructor(rows: number, onProgress: OnProgress) {
    this.list = Array.from({ length: rows }, () => ({ status: 'skipped' }));
    this.#onProgress = onProgress;
  }

  set(index: number, outcome: BatchOutcome<T>): void {
    if (this.list[index]?.status === 'skipped' && outcome.status !== 'skipped') this.#settled += 1;
    this.list[index] = outcome;
    this.#onProgress?.(this.#settled, this.list.length);
  }

  fulfil(index: number, value: T): void {
    this.set(index, { status: 'fulfilled', value });
  }

  reject(index: number, error: unknown): void {
    this.set(index, { status: 'rejected', reason: toPublicError(error) });
  }

  /**
   * Elastic tables write the valid rows of a request, and say which.
   * @param indexes of the rows in the request
   * @returns whether the error says so
   */
  takeBulkRows(indexes: readonly number[], error: unknown, valueFor: (id: string | undefined) => T): boolean {
    const known = dataverseFault(error)?.bulkRows;
    if (known === undefined || known.length === 0) return false;
    const places = new Map(known.map((row) => [row.index, row]));
    for (const [place, index] of indexes.entries()) {
      const row = places.get(place);
      if (row !== undefined && row.status < 400) this.fulfil(index, valueFor(row.id));
      else this.reject(index, error);
    }
    return true;
  }

  /** @throws the reason of the signal if it is aborted and no row was written: then there is no result to return */
  throwIfAborted(signal: AbortSignal | undefined): void {
    if (!this.list.some(({ status }) => status === 'fulfilled')) signal?.throwIfAborted();
  }
}

type OnProgress = ((settled: number, total: number) => void) | undefined;

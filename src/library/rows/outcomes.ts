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

  /** Elastic tables write the valid rows of a request, and say which. @returns whether the error says so */
  takeBulkRows(start: number, error: unknown, valueFor: (id: string | undefined) => T): boolean {
    const known = dataverseFault(error)?.bulkRows;
    if (known === undefined || known.length === 0) return false;
    for (const { index, id, status } of known) {
      if (status < 400) this.fulfil(start + index, valueFor(id));
      else this.reject(start + index, error);
    }
    return true;
  }
}

type OnProgress = ((settled: number, total: number) => void) | undefined;

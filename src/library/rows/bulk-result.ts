import type { BatchOutcome } from '../batch/send-batch.ts';
import { DataverseError } from '../client/errors.ts';

/** What became of each row of a bulk operation. */
export class BulkResult<T> {
  /** One per row, in the order of the rows. `skipped` rows were not sent, because the operation ended before. */
  readonly outcomes: readonly BatchOutcome<T>[];

  constructor(outcomes: readonly BatchOutcome<T>[]) {
    this.outcomes = outcomes;
  }

  /** How many rows were written. */
  get succeeded(): number {
    return this.outcomes.filter(({ status }) => status === 'fulfilled').length;
  }

  /** The rows that Dataverse rejected or that may not have been written, by their index. */
  get failed(): { index: number; reason: unknown }[] {
    return this.outcomes.flatMap((outcome, index) =>
      outcome.status === 'rejected' ? [{ index, reason: outcome.reason }] : [],
    );
  }

  /** Indexes of the rows that were not sent. */
  get skipped(): number[] {
    return this.outcomes.flatMap(({ status }, index) => (status === 'skipped' ? [index] : []));
  }

  /** Returns the result of each row. @throws DataverseError that counts the failures, with the first as its cause */
  valuesOrThrow(): T[] {
    const [first] = this.failed;
    const values = this.outcomes.flatMap((outcome) =>
      outcome.status === 'fulfilled' ? [outcome.value] : [],
    );
    if (first === undefined && values.length === this.outcomes.length) return values;
    const total = this.outcomes.length;
    const count = total - values.length;
    throw new DataverseError(`${count} of ${total} rows were not written`, {
      cause: first?.reason,
      hint:
        first === undefined
          ? undefined
          : `The first is row ${first.index}: ${String((first.reason as Error).message)}`,
    });
  }
}

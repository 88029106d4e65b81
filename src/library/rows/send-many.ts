import type { Operation } from '../batch/operation.ts';
import { type BatchOutcome, sendBatch } from '../batch/send-batch.ts';
import type { QuerySource } from '../query/query.ts';
import type { BulkOptions } from './bulk-options.ts';
import type { Outcomes } from './outcomes.ts';

/** Rows per request where each row takes an operation of a batch. */
const batchRows = 100;

/** @internal Sends an operation per index, in batches. A batch that fails as a whole ends it. */
export async function sendMany<T>(
  source: QuerySource,
  indexes: readonly number[],
  operationOf: (index: number) => Operation<T>,
  outcomes: Outcomes<T>,
  options: BulkOptions,
): Promise<void> {
  const size = Math.min(options.maxRows ?? batchRows, batchRows);
  for (let start = 0; start < indexes.length; start += size) {
    const part = indexes.slice(start, start + size);
    try {
      const replies = await sendBatch(source.session, part.map(operationOf), {
        ...options,
        continueOnError: true,
      });
      for (const [place, index] of part.entries()) outcomes.set(index, replies[place] as BatchOutcome<T>);
    } catch (error) {
      if (options.signal?.aborted) throw error;
      for (const index of part) outcomes.reject(index, error);
      return;
    }
  }
}

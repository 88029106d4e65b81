import { Operation } from '../batch/operation.ts';
import { type BatchOutcome, sendBatch } from '../batch/send-batch.ts';
import type { QuerySource } from '../query/query.ts';
import { type BulkOptions, checkBulkOptions } from './bulk-options.ts';
import type { Outcomes } from './outcomes.ts';

/** Rows per request where each row takes an operation of a batch. */
const batchRows = 100;

interface OperationOfRow<T> {
  index: number;
  make(): Operation<T>;
}

/** @internal
 * Sends an operation per row, in batches. One that cannot be made is rejected alone. A batch that fails as a whole, or an
 * aborted signal, ends it: the rows after it are skipped.
 */
export async function sendMany<T>(
  source: QuerySource,
  rows: readonly OperationOfRow<T>[],
  outcomes: Outcomes<T>,
  options: BulkOptions,
): Promise<void> {
  const { maxRows = batchRows, concurrency } = checkBulkOptions(options);
  const size = Math.min(maxRows, batchRows);
  const { signal } = source.session.options(options);
  // Without it, each row would ask for it again.
  if (rows.length > 0) await source.definition(options);
  let next = 0;
  await inParallel(concurrency, async () => {
    while (next < rows.length && !signal?.aborted) {
      const start = next;
      next += size;
      const part = await validOf(source, rows.slice(start, start + size), outcomes);
      if (part.length === 0) continue;
      try {
        const operations = part.map(({ operation }) => operation);
        const replies = await sendBatch(source.session, operations, { ...options, continueOnError: true });
        for (const [place, { index }] of part.entries())
          outcomes.set(index, replies[place] as BatchOutcome<T>);
      } catch (error) {
        next = rows.length;
        for (const { index } of part) outcomes.reject(index, error);
      }
    }
  });
}

/** Rejects the rows whose request cannot be made: they must not fail the batch of the others. */
async function validOf<T>(
  { session }: QuerySource,
  rows: readonly OperationOfRow<T>[],
  outcomes: Outcomes<T>,
): Promise<{ index: number; operation: Operation<T> }[]> {
  const valid: { index: number; operation: Operation<T> }[] = [];
  for (const { index, make } of rows) {
    const operation = make();
    try {
      await Operation.make(operation, session, () => '');
      valid.push({ index, operation });
    } catch (error) {
      outcomes.reject(index, error);
    }
  }
  return valid;
}

/** @internal Runs workers that take from one list. */
export async function inParallel(count: number, worker: () => Promise<void>): Promise<void> {
  const results = await Promise.allSettled(Array.from({ length: count }, worker));
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

import { checkCount } from '../client/check-count.ts';
import type { RequestOptions } from '../client/options.ts';

export interface BulkOptions extends RequestOptions {
  /** Rows per request. @default 1000, which Microsoft recommends to start with; 100 for deletes */
  maxRows?: number | undefined;
  /** Requests at the same time, also of deletes and batches. Those that write the same rows can lock each other out. @default 1 */
  concurrency?: number | undefined;
  /** Called when further rows are settled, with how many are so far. */
  onProgress?: ((settled: number, total: number) => void) | undefined;
}

export interface CreateManyOptions extends BulkOptions {
  /**
   * Gives each row without an id one that this client makes, so that a request whose response is lost can be repeated: a row
   * that exists then is the work of an earlier attempt. Dataverse's own ids are in an order that suits its index better.
   * @default false
   */
  assignIds?: boolean | undefined;
}

/** @internal @throws UsageError for numbers with which nothing would be sent */
export function checkBulkOptions({ maxRows, concurrency = 1 }: BulkOptions) {
  if (maxRows !== undefined) checkCount(maxRows, 'maxRows');
  return { maxRows, concurrency: checkCount(concurrency, 'concurrency') };
}
